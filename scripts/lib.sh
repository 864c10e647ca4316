# Common parts of the scripts: sourced by them, never run.
# shellcheck shell=bash

set -euo pipefail

# Debian keeps nginx in /usr/sbin, which a user's PATH may lack.
PATH="$PATH:/usr/sbin:/sbin"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
target="$root/target"
# The scripts know where artefacts are: an inherited target folder would move them.
export CARGO_TARGET_DIR="$target"

# What the scripts have to tell goes to stderr: stdout is for the result (a path, test counts).
say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# The source of nginx as a release tarball or as a repository has it.
is_nginx_source() { [ -f "$1/src/core/nginx.h" ] && { [ -f "$1/configure" ] || [ -f "$1/auto/configure" ]; }; }

nginx_source_version() { sed -n 's/^#define NGINX_VERSION *"\([^"]*\)".*/\1/p' "$1/src/core/nginx.h"; }

# prepare_nginx LABEL SOURCE IDENTITY FLAG...
# Copies the source to target/nginx/LABEL/src and configures it into target/nginx/LABEL/objs, once for each
# IDENTITY and flags. A lock makes calls at the same time wait for each other.
prepare_nginx() {
    local label=$1 source=$2 identity=$3
    shift 3
    local dir="$target/nginx/$label"
    local wanted="$identity $*"
    mkdir -p "$target/nginx"
    (
        flock 9
        if [ -f "$dir/stamp" ] && [ "$(cat "$dir/stamp")" = "$wanted" ]; then
            exit 0
        fi
        say "configuring nginx $label"
        rm -rf "$dir"
        mkdir -p "$dir"
        cp -R "$source" "$dir/src"
        chmod -R u+w "$dir/src"
        cd "$dir/src"
        configure=./configure
        [ -f "$configure" ] || configure=auto/configure
        if ! sh "$configure" "$@" --builddir="$dir/objs" >"$dir/configure.log" 2>&1; then
            tail -n 20 "$dir/configure.log" >&2
            die "nginx's configure failed, its whole output is in $dir/configure.log"
        fi
        printf '%s' "$wanted" >"$dir/stamp"
    ) 9>"$target/nginx/$label.lock"
    nginx_label=$label
    nginx_source=$dir/src
    nginx_objs=$dir/objs
}

# Each of the next three chooses an nginx: sets nginx_label, nginx_source and nginx_objs.

# Debian's own nginx: nginx-dev brings the headers, the configure script and the flags of the binary.
use_debian_nginx() {
    command -v nginx >/dev/null || die "nginx is not installed; run scripts/setup build"
    local flags_file version
    flags_file="$(dpkg -L nginx-dev 2>/dev/null | sed -n '\|/conf_flags$|p')"
    [ -n "$flags_file" ] || die "the package nginx-dev is not installed; run scripts/setup build"
    version="$(nginx -v 2>&1 | sed -n 's|^nginx version: nginx/\([0-9.]*\).*|\1|p')"
    [ "$version" = "$(nginx_source_version "${flags_file%/*}")" ] ||
        die "nginx is $version, but nginx-dev is for another version"
    local NGX_CONF_FLAGS=()
    # shellcheck disable=SC1090
    source "$flags_file"
    prepare_nginx "$version-debian" "${flags_file%/*}" "$(dpkg-query -W nginx-dev)" "${NGX_CONF_FLAGS[@]}"
}

# The modules that the tests and examples use; temporary folders and logs follow `nginx -p`.
current_nginx_flags=(
    --with-compat --with-threads --with-pcre-jit --with-cc-opt=-O2
    --with-http_ssl_module --with-http_v2_module --with-http_realip_module --with-http_auth_request_module
    --with-http_sub_module --with-http_slice_module --with-http_addition_module --with-http_gunzip_module
    --with-http_gzip_static_module --with-http_stub_status_module --with-http_dav_module
    --error-log-path=stderr --modules-path=modules --pid-path=nginx.pid --lock-path=nginx.lock
    --http-log-path=access.log --http-client-body-temp-path=temp/body --http-proxy-temp-path=temp/proxy
    --http-fastcgi-temp-path=temp/fastcgi --http-uwsgi-temp-path=temp/uwsgi --http-scgi-temp-path=temp/scgi
)

# A current nginx, whose source comes with the crate nginx-src, pinned by Cargo.lock.
# use_current_nginx [SUFFIX FLAG...]: with a suffix a variant of it, with more flags, in a folder of its own.
use_current_nginx() {
    local source version suffix=${1:-}
    shift $(($# < 1 ? 0 : 1))
    source="$(cd "$root" && cargo metadata --format-version 1 --features twice-tools/nginx-source |
        sed -n 's|.*"manifest_path":"\([^"]*/nginx-src-[^"/]*\)/Cargo.toml".*|\1/nginx|p')"
    is_nginx_source "$source" || die "cargo did not fetch the crate nginx-src"
    version="$(nginx_source_version "$source")"
    prepare_nginx "$version-current$suffix" "$source" "$source" "--prefix=$target/nginx/$version-current" \
        "${current_nginx_flags[@]}" --with-http_image_filter_module "$@"
}

# Builds the binary of the chosen nginx, once; sets `binary`.
build_nginx() {
    binary="$nginx_objs/nginx"
    (
        flock 9
        [ -x "$binary" ] && exit 0
        say "building nginx $nginx_label"
        cd "$nginx_source"
        if ! make -j"$(nproc)" -f "$nginx_objs/Makefile" binary >"$nginx_objs/make.log" 2>&1; then
            tail -n 20 "$nginx_objs/make.log" >&2
            die "nginx did not build, the whole output is in $nginx_objs/make.log"
        fi
    ) 9>"$target/nginx/$nginx_label.lock"
}

# The nginx that the caller names. TWICE_NGINX_CONFIGURE: flags of the binary that is to load the module.
use_given_nginx() {
    local source version flags
    source="$(cd "$TWICE_NGINX_SOURCE" 2>/dev/null && pwd)" ||
        die "TWICE_NGINX_SOURCE=$TWICE_NGINX_SOURCE is no folder"
    is_nginx_source "$source" ||
        die "TWICE_NGINX_SOURCE=$source holds no nginx source (src/core/nginx.h and configure or auto/configure)"
    version="$(nginx_source_version "$source")"
    # As `nginx -V` prints them, some are quoted for a shell.
    eval "flags=(${TWICE_NGINX_CONFIGURE:-${current_nginx_flags[*]}})"
    prepare_nginx "$version-given" "$source" "$source" "${flags[@]}"
}

# seed_module_folder PROFILE
# The folder for another nginx begins as a copy of one that is there: the generator of bindings, which takes longest to
# build, is the same for each nginx. Cargo builds anew what differs.
seed_module_folder() {
    local dir="$target/module-$nginx_label/$1" other
    (
        flock 9
        [ ! -d "$dir" ] || exit 0
        for other in "$target"/module-*/"$1"; do
            [ -d "$other" ] || continue
            rm -rf "$dir.new"
            mkdir -p "$dir.new"
            cp -a "$other"/{build,deps,.fingerprint} "$dir.new/"
            mv "$dir.new" "$dir"
            break
        done
    ) 9>"$target/nginx/seed.lock"
}

# build_module [debug]
# Builds the release module for the chosen nginx; sets `module`. With `debug` the one with assertions and with
# src/fault.rs, which is never to be installed.
# One target folder for each nginx: a shared one would make every change of nginx build all bindings anew.
build_module() {
    local profile=${1:-release} label=$nginx_label
    local flags=(--release)
    if [ "$profile" = debug ]; then
        flags=()
        label=$nginx_label-debug
    fi
    say "building the module for nginx $label"
    seed_module_folder "$profile"
    (
        cd "$root"
        NGINX_SOURCE_DIR="$nginx_source" NGINX_BUILD_DIR="$nginx_objs" \
            cargo build "${flags[@]}" --package twice --target-dir "$target/module-$nginx_label" >&2
    )
    local built="$target/module-$nginx_label/$profile/libtwice.so" dir="$target/modules/$label"
    module="$dir/ngx_http_twice_module.so"
    mkdir -p "$dir"
    # By rename: a running nginx has the old file mapped, and overwriting it in place would crash it.
    if ! cmp -s "$built" "$module"; then
        cp "$built" "$dir/.new.$$"
        mv "$dir/.new.$$" "$module"
    fi
}

# The HTTP working group's tests for caches, of one fixed version; sets `suite`. Of what it depends on it needs node-fetch alone.
install_conformance_suite() {
    local packages=(http-cache-tests@0.4.5 node-fetch@2.7.0) dir="$target/conformance"
    suite="$dir/node_modules/http-cache-tests"
    mkdir -p "$dir"
    (
        flock 9
        if [ -f "$dir/stamp" ] && [ "$(cat "$dir/stamp")" = "${packages[*]}" ]; then
            exit 0
        fi
        say "installing ${packages[*]}"
        rm -rf "$dir/node_modules" "$dir"/package*.json
        # Nothing of the packages runs while they are installed.
        npm install --prefix "$dir" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error \
            "${packages[@]}" >&2 || die "npm could not install: ${packages[*]}"
        printf '%s' "${packages[*]}" >"$dir/stamp"
    ) 9>"$dir/lock"
}

# render_conf FROM TO [SED_ARGUMENT...]
# An example configuration made to run as any user from any folder: Debian's nginx would use folders that
# belong to root.
render_conf() {
    local from=$1 to=$2
    shift 2
    mkdir -p "${to%/*}" "${to%/*}/temp"
    sed -e '/^http {/a\    access_log access.log;\n    client_body_temp_path temp/body;\n    proxy_temp_path temp/proxy;\n    fastcgi_temp_path temp/fastcgi;\n    uwsgi_temp_path temp/uwsgi;\n    scgi_temp_path temp/scgi;' \
        "$@" "$from" >"$to"
}

# Extra main-context directives of nginx for the user who runs it. As root the workers stay root: the folder
# that holds the repository need not be open to the user nobody.
run_as_directives() {
    printf 'pid nginx.pid; '
    if [ "$(id -u)" = 0 ]; then printf 'user root root; '; fi
}
