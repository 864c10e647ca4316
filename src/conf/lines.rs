//! Which lines of a request's header make pages of their own, and which the origin is not told of; which framing an
//! answer must have.

use ngx::ffi::{NGX_LOG_EMERG, ngx_conf_t, ngx_pool_t, ngx_uint_t};
use ngx::ngx_conf_log_error;
use twice_core::policy::{BadVary, HeaderNames, Withheld, dimension_of, may_vary_by};
use twice_core::variants::{Dimension, Dimensions, MAX_DIMENSIONS, MAX_NAME};

use super::merge::{inherit, merge_uint};
use super::setters::{Directive, ON_OFF, choose_once, is_cookie_name, is_set, once, setters};
use super::{LocConf, UNSET};
use crate::sys;

/// What the directives of this file say; a part of [`LocConf`].
#[repr(C)]
pub struct Lines {
    vary_cookies: *mut Dimensions,
    /// Names of headers in lower case, each once.
    vary_headers: *mut Vec<Vec<u8>>,
    withheld: *mut Withheld,
    require_length: ngx_uint_t,
    /// All that pages vary by here; made by [`merge`].
    varies: *mut Dimensions,
}

impl Lines {
    /// Marks all of it as not given.
    pub fn unset(&mut self) {
        self.vary_cookies = sys::unset_ptr();
        self.vary_headers = sys::unset_ptr();
        self.withheld = sys::unset_ptr();
        self.require_length = UNSET;
    }

    /// What pages vary by here, whatever the origin says.
    pub fn varies(&self) -> &Dimensions {
        // SAFETY: merged: a set that lives as long as the configuration.
        unsafe { &*self.varies }
    }

    /// `twice_withhold`.
    pub fn withheld(&self) -> &Withheld {
        // SAFETY: merged, as above.
        unsafe { &*self.withheld }
    }

    /// `twice_require_length`.
    pub fn require_length(&self) -> bool {
        self.require_length == 1
    }
}

/// Inherits, and puts together what pages vary by. None: nginx's log says what is wrong, or memory ran out.
///
/// # Safety
/// `cf` must be the running configuration and `pool` its pool; `names` are those of the child's `twice_headers`.
pub unsafe fn merge(
    cf: *mut ngx_conf_t,
    pool: *mut ngx_pool_t,
    parent: &mut Lines,
    child: &mut Lines,
    names: &HeaderNames,
    by_language: bool,
) -> Option<()> {
    merge_uint(&mut child.require_length, parent.require_length, 0);
    // SAFETY: the caller's promise.
    unsafe {
        inherit(pool, &mut child.vary_cookies, &mut parent.vary_cookies, Dimensions::default)?;
        inherit(pool, &mut child.vary_headers, &mut parent.vary_headers, Vec::new)?;
        inherit(pool, &mut child.withheld, &mut parent.withheld, Withheld::default)?;
    }
    // SAFETY: all of them are set now, and live as long as the configuration.
    let (cookies, headers) = unsafe { (&*child.vary_cookies, &*child.vary_headers) };
    match together(cookies, headers, child.withheld(), names, by_language) {
        Ok(varies) => {
            // SAFETY: the caller's promise.
            child.varies = unsafe { sys::pool_box(pool, varies) }?;
            Some(())
        }
        Err(why) => {
            ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"twice_vary_headers\" {}", why);
            None
        }
    }
}

/// What pages of a location vary by, whatever the origin says.
fn together(
    cookies: &Dimensions,
    headers: &[Vec<u8>],
    withheld: &Withheld,
    names: &HeaderNames,
    by_language: bool,
) -> Result<Dimensions, String> {
    let mut all = cookies.clone();
    if by_language {
        // There is room for it: the setter of cookies leaves one.
        let _ = all.add(Dimension::Language);
    }
    for name in headers {
        let value = || format!("has the value \"{}\", which", name.escape_ascii());
        may_vary_by(name, withheld, names).map_err(|why| format!("{} {why}", value()))?;
        let dimension = match dimension_of(name, names) {
            // The origin is told the outcome alone.
            Some(Dimension::Header(b"accept-language")) if by_language => Some(Dimension::Language),
            dimension => dimension,
        };
        if dimension.is_some_and(|dimension| all.add(dimension).is_err()) {
            return Err(format!(
                "{} is one too many, allowed are {MAX_DIMENSIONS} cookies, headers and the language together",
                value()
            ));
        }
    }
    Ok(all)
}

setters! {
    /// `twice_vary_cookies NAME...`
    fn vary_cookies(conf, directive) {
        once(is_set(conf.lines.vary_cookies))?;
        let mut names = Dimensions::default();
        for name in directive.args() {
            if !is_cookie_name(name) {
                return Err(format!(
                    "has the value \"{name}\", allowed are names of cookies: letters, digits and \
                     !#$%&'*+-.^_`|~, {MAX_NAME} at most"
                ));
            }
            // One place is left for the language.
            let added = names.add(Dimension::Cookie(name.as_bytes()));
            if added.is_err() || names.len() >= MAX_DIMENSIONS {
                return Err(format!("has too many names, allowed are {}", MAX_DIMENSIONS - 1));
            }
        }
        conf.lines.vary_cookies = directive.keep(names)?;
        Ok(())
    }

    /// `twice_vary_headers NAME...`
    fn vary_headers(conf, directive) {
        once(is_set(conf.lines.vary_headers))?;
        let (none, usual) = (Withheld::default(), HeaderNames::default());
        let mut names = Vec::new();
        for name in directive.args() {
            // What the other directives say of it is asked when all of them were read.
            match may_vary_by(name.as_bytes(), &none, &usual) {
                Err(why) if why != BadVary::Ours => {
                    return Err(format!("has the value \"{name}\", which {why}"));
                }
                _ => {}
            }
            let lower = name.as_bytes().to_ascii_lowercase();
            if !names.contains(&lower) {
                names.push(lower);
            }
        }
        conf.lines.vary_headers = directive.keep(names)?;
        Ok(())
    }

    /// `twice_withhold NAME...`
    fn withhold(conf, directive) {
        once(is_set(conf.lines.withheld))?;
        let mut names = Withheld::default();
        for name in directive.args() {
            names
                .add(name.as_bytes())
                .map_err(|why| format!("has the value \"{name}\", which {why}"))?;
        }
        conf.lines.withheld = directive.keep(names)?;
        Ok(())
    }

    /// `twice_require_length on | off`
    fn require_length(conf, directive) {
        choose_once(&mut conf.lines.require_length, directive, ON_OFF)
    }
}
