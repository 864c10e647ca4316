//! The servers of a memcached source.

use ngx::ffi::{
    ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_upstream_main_conf_t, ngx_http_upstream_module,
    ngx_http_upstream_server_t, ngx_http_upstream_srv_conf_t, ngx_parse_url, ngx_url_t,
};
use twice_core::ring;

use crate::source::Server;
use crate::source::figures::OfServer;
use crate::sys;

/// Those of an upstream block, or of one address, with the names that they are to have.
///
/// # Safety
/// `cf` must be the running configuration, inside its http block.
pub(super) unsafe fn servers(
    cf: *mut ngx_conf_t,
    upstream: &str,
    names: &[String],
) -> Result<Vec<Server>, String> {
    // SAFETY: the caller's promise.
    let found = match unsafe { block(cf, upstream) } {
        // SAFETY: as above; the addresses of its servers live as long as the configuration.
        Some(block) => unsafe { of_block(block, upstream)? },
        // SAFETY: as above.
        None => vec![unsafe { of_address(cf, upstream)? }],
    };
    if found.is_empty() {
        return Err(format!("has the upstream \"{upstream}\", which has no server, allowed is one that has"));
    }
    if !names.is_empty() && names.len() != found.len() {
        return Err(format!(
            "has names= of {}, while the servers of \"{upstream}\" are {}, allowed is one name for each",
            names.len(),
            found.len()
        ));
    }
    let mut servers: Vec<Server> = Vec::new();
    for (number, mut server) in found.into_iter().enumerate() {
        if let Some(name) = names.get(number) {
            server.name.clone_from(name);
        }
        if let Some(other) = servers.iter().find(|other| other.name == server.name) {
            return Err(format!(
                "has two servers of the name \"{}\" in \"{upstream}\", allowed are names of their own: the name says which \
                 keys a server has",
                other.name
            ));
        }
        servers.push(server);
    }
    Ok(servers)
}

/// The upstream block of a name.
///
/// # Safety
/// As for [`servers`].
unsafe fn block<'a>(cf: *mut ngx_conf_t, name: &str) -> Option<&'a ngx_http_upstream_srv_conf_t> {
    // SAFETY: the caller's promise: the upstream module has its main configuration; its array holds what it made. A block
    // has servers, other than a name that some `proxy_pass` made up.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let main = *(*ctx).main_conf.add(ngx_http_upstream_module.ctx_index);
        let main = main.cast::<ngx_http_upstream_main_conf_t>().as_ref()?;
        let all = main.upstreams.as_slice::<*mut ngx_http_upstream_srv_conf_t>();
        let named = |block: &&ngx_http_upstream_srv_conf_t| {
            sys::bytes(block.host) == name.as_bytes() && !block.servers.is_null()
        };
        all.iter().filter_map(|block| block.as_ref()).find(named)
    }
}

/// # Safety
/// `block` must be of the running configuration.
unsafe fn of_block(block: &ngx_http_upstream_srv_conf_t, upstream: &str) -> Result<Vec<Server>, String> {
    // SAFETY: the caller's promise: an array of servers, each with its addresses.
    let all = unsafe { (*block.servers).as_slice::<ngx_http_upstream_server_t>() };
    let mut servers = Vec::new();
    for server in all {
        // SAFETY: as above; a server's name is the text of its directive.
        let label = unsafe { String::from_utf8_lossy(sys::bytes(server.name)).into_owned() };
        if server.backup() != 0 {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" is a backup: it would have other keys, \
                 allowed are servers without \"backup\""
            ));
        }
        if server.down != 0 {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" is down: its keys would be another server's, \
                 allowed are servers without \"down\""
            ));
        }
        if !ring::has_port(&label) {
            return Err(format!(
                "has the upstream \"{upstream}\", whose server \"{label}\" has no port: nginx would take 80, allowed is an \
                 address such as {label}:11211"
            ));
        }
        if server.naddrs == 0 {
            return Err(format!("has the upstream \"{upstream}\", whose server \"{label}\" has no address"));
        }
        // As a pool of twemproxy: a name of several addresses is one server, at the first of them.
        // SAFETY: as above: there is one address at least.
        let address = unsafe { &*server.addrs };
        let weight = u32::try_from(server.weight).unwrap_or(u32::MAX);
        servers.push(Server {
            name: ring::default_name(&label),
            label,
            weight,
            sockaddr: address.sockaddr,
            socklen: address.socklen,
            figures: OfServer::default(),
        });
    }
    Ok(servers)
}

/// A single server without an upstream block.
///
/// # Safety
/// As for [`servers`].
unsafe fn of_address(cf: *mut ngx_conf_t, text: &str) -> Result<Server, String> {
    let is_address =
        text.starts_with("unix:") || text.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let allowed =
        "allowed are the name of an \"upstream\" block and an address such as 127.0.0.1:11211 or unix:/PATH";
    let unknown = || format!("has the upstream \"{text}\", {allowed}");
    if !is_address || !text.contains(':') {
        return Err(unknown());
    }
    // SAFETY: the running configuration's pool; a URL of zeros is one that was not parsed. nginx keeps the text's pointer.
    unsafe {
        let kept = sys::pool_box((*cf).pool, text.to_owned()).ok_or("found no memory")?;
        let mut url: ngx_url_t = std::mem::zeroed();
        url.url = sys::ngx_str((*kept).as_bytes());
        if ngx_parse_url((*cf).pool, &raw mut url) != sys::OK || url.naddrs == 0 || url.addrs.is_null() {
            return Err(unknown());
        }
        let address = &*url.addrs;
        Ok(Server {
            name: ring::default_name(text),
            label: text.to_owned(),
            weight: 1,
            sockaddr: address.sockaddr,
            socklen: address.socklen,
            figures: OfServer::default(),
        })
    }
}
