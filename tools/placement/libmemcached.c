/* Prints for each line of its input which server libmemcached gives that key to, as a digit, in one row.
   usage: libmemcached HASH HOST:PORT:WEIGHT... */

#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    memcached_hash_t hash;
} hashes[] = {
    {"one_at_a_time", MEMCACHED_HASH_DEFAULT}, {"md5", MEMCACHED_HASH_MD5},
    {"crc32", MEMCACHED_HASH_CRC},             {"fnv1_64", MEMCACHED_HASH_FNV1_64},
    {"fnv1a_64", MEMCACHED_HASH_FNV1A_64},     {"fnv1_32", MEMCACHED_HASH_FNV1_32},
    {"fnv1a_32", MEMCACHED_HASH_FNV1A_32},     {"hsieh", MEMCACHED_HASH_HSIEH},
    {"murmur", MEMCACHED_HASH_MURMUR},         {"jenkins", MEMCACHED_HASH_JENKINS},
};

static void check(memcached_return_t status, const char *what)
{
    if (status != MEMCACHED_SUCCESS) {
        fprintf(stderr, "%s: %s\n", what, memcached_strerror(NULL, status));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    memcached_st *client = memcached_create(NULL);
    size_t hash = 0;
    char line[1024];

    if (argc < 3) return 2;
    /* This one brings its own hash, so it comes before the one that is asked for. */
    check(memcached_behavior_set(client, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1), "ketama_weighted");
    while (strcmp(hashes[hash].name, argv[1]) != 0)
        if (++hash == sizeof hashes / sizeof *hashes) return 2;
    check(memcached_behavior_set(client, MEMCACHED_BEHAVIOR_HASH, hashes[hash].hash), argv[1]);
    for (int i = 2; i < argc; i++) {
        char host[100];
        unsigned port, weight;
        if (sscanf(argv[i], "%99[^:]:%u:%u", host, &port, &weight) != 3) return 2;
        check(memcached_server_add_with_weight(client, host, port, weight), argv[i]);
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        putchar('0' + (int) memcached_generate_hash(client, line, strlen(line)));
    }
    memcached_free(client);
    return 0;
}
