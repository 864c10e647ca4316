/*
 * Included before everything else in the nginx that scripts/memcheck builds.
 *
 * nginx writes a process's title over its command line. Under valgrind that is a copy which no other process can
 * see, so the stories could not tell workers from the master. The process's name is seen: 15 bytes are kept of it.
 */

extern char *strstr(const char *text, const char *part) __attribute__((nothrow, leaf, pure, nonnull(1, 2)));
extern int prctl(int option, ...) __attribute__((nothrow, leaf));

static inline void setproctitle(const char *format, const char *title)
{
    (void) format;
    /* 15: PR_SET_NAME. */
    (void) prctl(15, strstr(title, "shutting down") ? "shutting down" : title);
}
