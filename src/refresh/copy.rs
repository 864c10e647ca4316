//! A visitor's request, copied for a refresh: what the location's handler may ask for, and nothing of the visitor that the
//! page does not depend on.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_VAR_CHANGEABLE, ngx_hash_find, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_get_indexed_variable, ngx_http_header_t, ngx_http_variable_t, ngx_http_variable_value_t,
    ngx_list_init, ngx_str_t, ngx_table_elt_t, ngx_uint_t,
};
use twice_core::cookies;
use twice_core::policy::{OF_A_PART, is_alike};
use twice_core::template::ngx_key;
use twice_core::variants::{Dimension, View};

use crate::asker::has_password;
use crate::conf;
use crate::sys::{self, OK, Request};
use crate::visitor::{self, Id};

/// Header lines that are about the client's connection, or about who it is.
const LEFT_OUT: [&[u8]; 11] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"upgrade",
    b"http2-settings",
    b"expect",
    b"content-length",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"proxy-authorization",
];

/// What nginx tells of the client's connection: the copy's own could not.
const OF_THE_CONNECTION: [&[u8]; 6] =
    [b"ssl_", b"realip_", b"proxy_protocol_", b"server_", b"tcpinfo_", b"quic_"];
const ALSO: [&[u8]; 6] = [b"scheme", b"https", b"http2", b"http3", b"connection", b"connection_requests"];

/// Values that a client's certificate makes, empty without one; and what says whether there is one.
const OF_A_CERTIFICATE: &[u8] = b"ssl_client_";
const VERIFIED: &[u8] = b"ssl_client_verify";

/// Header lines and variables that tell who the visitor is.
const PASSWORD: &[u8] = b"authorization";
const COOKIES: &[u8] = b"cookie";
const OF_THE_VISITOR: [&[u8]; 4] =
    [b"http_cookie", b"http_authorization", b"http_proxy_authorization", b"remote_user"];
const COOKIE: &[u8] = b"cookie_";

/// What of the visitor a page depends on.
pub struct Keep {
    /// All: the location writes its own key, from whatever it likes.
    visitor: bool,
    /// These cookies, by name.
    cookies: Vec<Vec<u8>>,
    /// These header lines, by name in lower case.
    lines: Vec<Vec<u8>>,
}

impl Keep {
    /// What the location's keys are made of, and this page's variants: `rules` is the head of its rules, or empty.
    pub fn of(request: Request<'_>, rules: &[u8]) -> Keep {
        let conf = conf::of(request);
        let mut keep = Keep { visitor: !conf.key.is_null(), cookies: Vec::new(), lines: Vec::new() };
        let stored = View::parse(rules).map(|view| view.dimensions());
        for dimension in stored.into_iter().flatten().chain(conf.varies().iter()) {
            match dimension {
                Dimension::Cookie(name) => keep.cookies.push(name.to_vec()),
                Dimension::Header(name) => keep.lines.push(name.to_vec()),
                _ => {}
            }
        }
        let main = conf::main_of_request(request);
        if !main.ab_tests.is_empty() {
            keep.cookies.push(main.ab_cookie().as_bytes().to_vec());
        }
        keep
    }

    /// All of it.
    pub fn all() -> Keep {
        Keep { visitor: true, cookies: Vec::new(), lines: Vec::new() }
    }

    /// Whether the copy has everything that the visitor is known by.
    pub fn is_all(&self) -> bool {
        self.visitor
    }

    fn has_line(&self, name: &[u8]) -> bool {
        self.lines.iter().any(|line| name.eq_ignore_ascii_case(line))
    }

    /// A variable that is made anew of the header lines that are left.
    fn leaves_out(&self, variable: &[u8]) -> bool {
        !self.visitor && (OF_THE_VISITOR.contains(&variable) || variable.starts_with(COOKIE))
    }
}

/// The new request is this visitor's for A/B tests, too, even if his id was made for the answer that has just left.
fn visitor(parent: Request<'_>, new: Request<'_>) -> Option<()> {
    let Some(id) = visitor::of(parent)?.id else { return Some(()) };
    // SAFETY: kept with the parent's main request, which is live.
    let text = new.copy(unsafe { &*id.text })?;
    visitor::of(new)?.id = Some(Id { text, is_new: false });
    Some(())
}

/// How copying ended.
pub enum Copied {
    /// Complete.
    Whole {
        /// There was a password that is left out, and there are values that may have been made of it.
        somebodys: bool,
        /// There are values that may have been made of anything that the visitor is known by.
        told: bool,
    },
    /// Memory ran out.
    Failed,
    /// nginx has ended the new request, which is gone.
    Ended,
}

/// Makes the new request like its parent.
///
/// # Safety
/// Both must be live; `new` fresh from `ngx_http_create_request`, with nothing run yet.
pub unsafe fn copy(parent: Request<'_>, new: Request<'_>, keep: &Keep) -> Copied {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        if line_and_place(parent, new).is_none() || captures(parent, new).is_none() {
            return Copied::Failed;
        }
        let Some(told) = variables(parent, new, keep) else { return Copied::Failed };
        if visitor(parent, new).is_none() {
            return Copied::Failed;
        }
        match headers(parent, new, keep) {
            Copied::Whole { .. } => {
                Copied::Whole { somebodys: told && has_password(parent) && !has_password(new), told }
            }
            ended => ended,
        }
    }
}

/// A copy with a NUL behind it, as nginx has them: it looks for words in header lines so.
fn terminated<'a>(new: Request<'a>, bytes: &[u8]) -> Option<&'a [u8]> {
    let place = new.alloc(bytes.len() + 1)?;
    // SAFETY: fresh memory of one byte more than there are.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        place.add(bytes.len()).write(0);
        Some(std::slice::from_raw_parts(place, bytes.len()))
    }
}

fn text(new: Request<'_>, from: ngx_str_t) -> Option<ngx_str_t> {
    // SAFETY: a string of the live parent.
    Some(sys::ngx_str(terminated(new, unsafe { sys::bytes(from) })?))
}

/// # Safety
/// See [`copy`].
unsafe fn line_and_place(parent: Request<'_>, new: Request<'_>) -> Option<()> {
    // SAFETY: the caller's promise. Configurations outlive requests.
    unsafe {
        let (from, to) = (parent.raw(), new.raw());
        (*to).main_conf = (*from).main_conf;
        (*to).srv_conf = (*from).srv_conf;
        (*to).loc_conf = (*from).loc_conf;
        (*to).http_version = ngx::ffi::NGX_HTTP_VERSION_11 as ngx_uint_t;
        // A HEAD is answered from the same page.
        (*to).method_name = sys::ngx_str(b"GET");
        let line = sys::bytes((*from).request_line);
        let rest =
            line.iter().position(|&byte| byte == b' ').and_then(|at| line.get(at..)).unwrap_or_default();
        (*to).request_line = sys::ngx_str(new.copy(&[b"GET", rest].concat())?);
        (*to).uri = text(new, (*from).uri)?;
        (*to).args = text(new, (*from).args)?;
        (*to).exten = text(new, (*from).exten)?;
        (*to).unparsed_uri = text(new, (*from).unparsed_uri)?;
        (*to).http_protocol = text(new, (*from).http_protocol)?;
        (*to).schema = text(new, (*from).schema)?;
        (*to).headers_in.server = text(new, (*from).headers_in.server)?;
        (*to).err_status = (*from).err_status;
        (*to).set_internal((*from).internal());
        (*to).set_complex_uri((*from).complex_uri());
        (*to).set_quoted_uri((*from).quoted_uri());
        (*to).set_plus_in_uri((*from).plus_in_uri());
        (*to).set_empty_path_in_uri((*from).empty_path_in_uri());
        (*to).set_add_uri_to_alias((*from).add_uri_to_alias());
        (*to).set_valid_location((*from).valid_location());
        // A sub-request asks for its own URI.
        (*to).set_valid_unparsed_uri(if parent.is_main() { (*from).valid_unparsed_uri() } else { 0 });
    }
    Some(())
}

/// Groups of the location's regular expression, for `proxy_pass http://$1` and its like.
///
/// # Safety
/// See [`copy`].
unsafe fn captures(parent: Request<'_>, new: Request<'_>) -> Option<()> {
    // SAFETY: the caller's promise; `captures` has `ncaptures` ends of groups in the bytes at `captures_data`, -1 for a
    // group that took no part.
    unsafe {
        let (from, to) = (parent.raw(), new.raw());
        if (*from).ncaptures == 0 || (*from).captures.is_null() || (*from).captures_data.is_null() {
            return Some(());
        }
        let ends = std::slice::from_raw_parts((*from).captures, (*from).ncaptures);
        let len = ends.iter().copied().max().and_then(|end| usize::try_from(end).ok()).unwrap_or(0);
        let data = new.copy(std::slice::from_raw_parts((*from).captures_data, len))?;
        let copies = new.alloc_array::<i32>(ends.len())?;
        ptr::copy_nonoverlapping(ends.as_ptr(), copies, ends.len());
        (*to).ncaptures = ends.len();
        (*to).captures = copies;
        (*to).captures_data = data.as_ptr().cast_mut();
        // It is as long as these groups need, not as any expression's.
        (*to).set_realloc_captures(1);
    }
    Some(())
}

/// Values that are there already: those of `set`, `map`, `auth_request_set`, of the regular expressions, and what only the
/// client's connection can tell. True: there are such as may tell of the visitor what `keep` leaves out (`set`).
///
/// # Safety
/// See [`copy`].
unsafe fn variables(parent: Request<'_>, new: Request<'_>, keep: &Keep) -> Option<bool> {
    let mut told = false;
    // SAFETY: the caller's promise; `variables` has one value for each indexed variable of the configuration.
    unsafe {
        let main = core_main(parent);
        let all = (*main).variables.nelts;
        let known = (*main).variables.elts.cast::<ngx_http_variable_t>();
        for index in 0..all {
            let name = sys::bytes((*known.add(index)).name);
            if keep.leaves_out(name) {
                continue;
            }
            let forced =
                OF_THE_CONNECTION.iter().any(|prefix| name.starts_with(prefix)) || ALSO.contains(&name);
            if forced {
                ngx_http_get_indexed_variable(parent.raw(), index);
            }
            let value: *const ngx_http_variable_value_t = (*parent.raw()).variables.add(index);
            if (*value).valid() == 0 && (*value).not_found() == 0 {
                continue;
            }
            let mut copied = *value;
            if (*value).valid() != 0 {
                let len = (*value).len() as usize;
                let data = if len == 0 { &[][..] } else { std::slice::from_raw_parts((*value).data, len) };
                copied.data = new.copy(data)?.as_ptr().cast_mut();
            }
            let made = (*known.add(index)).flags & NGX_HTTP_VAR_CHANGEABLE as ngx_uint_t != 0;
            // What a certificate says of its owner.
            let is_of_one = name.starts_with(OF_A_CERTIFICATE) && name != VERIFIED;
            told |= is_of_one && (*value).len() > 0;
            told |= made && (*value).no_cacheable() == 0 && (*value).len() > 0;
            if forced {
                copied.set_no_cacheable(0);
            }
            *(*new.raw()).variables.add(index) = copied;
        }
    }
    Some(told)
}

/// # Safety
/// `request` must be live.
unsafe fn core_main(request: Request<'_>) -> *mut ngx_http_core_main_conf_t {
    // SAFETY: the core module has a main configuration.
    unsafe { (*(*request.raw()).main_conf.add(ngx_http_core_module.ctx_index)).cast() }
}

/// # Safety
/// See [`copy`].
unsafe fn headers(parent: Request<'_>, new: Request<'_>, keep: &Keep) -> Copied {
    let count = parent.lines_in().count();
    // SAFETY: the caller's promise; the list is in the new request's pool.
    unsafe {
        let list = &raw mut (*new.raw()).headers_in.headers;
        if ngx_list_init(list, new.pool(), count.max(1), size_of::<ngx_table_elt_t>()) != OK {
            return Copied::Failed;
        }
        let known = &raw mut (*core_main(parent)).headers_in_hash;
        for line in parent.lines_in() {
            let (name, value) = sys::pair(line);
            let Some(value) = kept(name, value, keep) else { continue };
            let made = terminated(new, name).and_then(|name| {
                let lower = terminated(new, &name.to_ascii_lowercase())?;
                Some((name, terminated(new, &value)?, lower))
            });
            let Some((name, value, lower)) = made else { return Copied::Failed };
            let to = sys::push_line(list, name, value);
            if to.is_null() {
                return Copied::Failed;
            }
            (*to).lowcase_key = lower.as_ptr().cast_mut();
            (*to).hash = if (*line).hash == 0 { 0 } else { ngx_key(lower) as ngx_uint_t };
            // The fields that nginx has for lines that it knows.
            let header =
                ngx_hash_find(known, (*to).hash, (*to).lowcase_key, name.len()).cast::<ngx_http_header_t>();
            if let Some(handler) = header.as_ref().and_then(|header| header.handler)
                && (*to).hash != 0
                && handler(new.raw(), to, (*header).offset) != OK
            {
                // nginx ends a request whose lines it does not like. These it liked before: there is no memory.
                return Copied::Ended;
            }
        }
    }
    Copied::Whole { somebodys: false, told: false }
}

/// What a line is in the copy; none: it is not there.
fn kept<'v>(name: &[u8], value: &'v [u8], keep: &Keep) -> Option<std::borrow::Cow<'v, [u8]>> {
    if keep.has_line(name) {
        return Some(value.into());
    }
    if OF_A_PART.iter().chain(&LEFT_OUT).any(|other| name.eq_ignore_ascii_case(other)) {
        return None;
    }
    // What the origin could take for a line that the page depends on.
    if keep.lines.iter().any(|line| is_alike(name, line)) {
        return None;
    }
    if keep.visitor {
        return Some(value.into());
    }
    if name.eq_ignore_ascii_case(PASSWORD) {
        return None;
    }
    if name.eq_ignore_ascii_case(COOKIES) {
        let mut line = Vec::new();
        for (name, value) in
            cookies::pairs(value).filter(|(name, _)| keep.cookies.iter().any(|kept| kept == name))
        {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(name);
            line.push(b'=');
            line.extend_from_slice(value);
        }
        return (!line.is_empty()).then_some(line.into());
    }
    Some(value.into())
}
