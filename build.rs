//! Turns what nginx-sys found in nginx's build folder into cfg flags of the module.
//!
//! `ngx_ssl`: nginx was built with TLS, so that a connection has the field `ssl`.
//! `ngx_linked_headers`: since nginx 1.23.0 header lines of one name are a linked list through
//! `ngx_table_elt_t.next`; before, `cookies`, `cache_control` and others are arrays of pointers.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(ngx_linked_headers, ngx_ssl)");
    println!("cargo::rerun-if-env-changed=DEP_NGINX_FEATURES");
    println!("cargo::rerun-if-env-changed=DEP_NGINX_VERSION_NUMBER");
    let version = std::env::var("DEP_NGINX_VERSION_NUMBER").unwrap_or_default();
    let Ok(version) = version.parse::<u64>() else {
        // Without the number a wrong layout could be compiled in.
        println!("cargo::error=nginx-sys told no nginx version: \"{version}\"");
        return;
    };
    let features = std::env::var("DEP_NGINX_FEATURES").unwrap_or_default();
    if features.split(',').any(|feature| feature == "ssl") {
        println!("cargo::rustc-cfg=ngx_ssl");
    }
    if version >= 1_023_000 {
        println!("cargo::rustc-cfg=ngx_linked_headers");
    }
}
