//! Directives that say which responses are stored: `twice_honor`, `twice_statuses`, `twice_heuristic`,
//! `twice_set_cookie`, `twice_request_control`.

use ngx::ffi::{NGX_LOG_EMERG, ngx_conf_t, ngx_pool_t, ngx_uint_t};
use ngx::ngx_conf_log_error;
use twice_core::policy::{HeaderNames, Heuristic, Honor, SetCookie, Statuses};

use super::merge::{inherit, merge_uint};
use super::setters::{Directive, ON_OFF, choose_once, is_set, once, setters};
use super::{LocConf, UNSET};
use crate::sys;

/// What they leave behind in a location.
#[repr(C)]
pub struct Steering {
    honor: *mut Honor,
    statuses: *mut Statuses,
    heuristic: *mut Heuristic,
    set_cookie: ngx_uint_t,
    request_control: ngx_uint_t,
}

impl Steering {
    /// Nothing said.
    pub fn unset() -> Self {
        Self {
            honor: sys::unset_ptr(),
            statuses: sys::unset_ptr(),
            heuristic: sys::unset_ptr(),
            set_cookie: UNSET,
            request_control: UNSET,
        }
    }

    /// `twice_honor`.
    pub fn honor(&self) -> &Honor {
        // SAFETY: merged: a value that lives as long as the configuration.
        unsafe { &*self.honor }
    }

    /// `twice_statuses`.
    pub fn statuses(&self) -> &Statuses {
        // SAFETY: merged, as above.
        unsafe { &*self.statuses }
    }

    /// `twice_heuristic`.
    pub fn heuristic(&self) -> Heuristic {
        // SAFETY: merged, as above.
        unsafe { *self.heuristic }
    }

    /// `twice_set_cookie`.
    pub fn set_cookie(&self) -> SetCookie {
        if self.set_cookie == 1 { SetCookie::Drop } else { SetCookie::Refuse }
    }

    /// `twice_request_control`.
    #[inline]
    pub fn request_control(&self) -> bool {
        self.request_control == 1
    }

    /// Inherits what was not said here; none where it can't be, which the log tells.
    ///
    /// # Safety
    /// `cf` must be the running configuration.
    pub unsafe fn merge(
        &mut self,
        cf: *mut ngx_conf_t,
        parent: &mut Self,
        names: &HeaderNames,
    ) -> Option<()> {
        // SAFETY: the running configuration's pool.
        unsafe {
            let pool: *mut ngx_pool_t = (*cf).pool;
            inherit(pool, &mut self.honor, &mut parent.honor, Honor::default)?;
            inherit(pool, &mut self.statuses, &mut parent.statuses, Statuses::default)?;
            inherit(pool, &mut self.heuristic, &mut parent.heuristic, || Heuristic::OFF)?;
        }
        merge_uint(&mut self.set_cookie, parent.set_cookie, 0);
        merge_uint(&mut self.request_control, parent.request_control, 0);
        if let Err((word, why)) = self.honor().check(names) {
            ngx_conf_log_error!(
                NGX_LOG_EMERG,
                cf,
                "\"twice_honor\" has the value \"{}\", which {}",
                word,
                why
            );
            return None;
        }
        Some(())
    }
}

setters! {
    /// `twice_honor HEADER... | off`
    fn honor(conf, directive) {
        once(is_set(conf.steering.honor))?;
        let honor = Honor::parse(directive.args().iter().map(String::as_str))
            .map_err(|(word, why)| format!("has the value \"{word}\", which {why}"))?;
        conf.steering.honor = directive.keep(honor)?;
        Ok(())
    }

    /// `twice_statuses CODE... | any`
    fn statuses(conf, directive) {
        once(is_set(conf.steering.statuses))?;
        let statuses = Statuses::parse(directive.args().iter().map(String::as_str))
            .map_err(|(word, why)| format!("has the code \"{word}\", which {why}"))?;
        conf.steering.statuses = directive.keep(statuses)?;
        Ok(())
    }

    /// `twice_heuristic off | PERCENT% [max=TIME]`
    fn heuristic(conf, directive) {
        once(is_set(conf.steering.heuristic))?;
        let bad = |word: &str| Err(format!(
            "has the value \"{word}\", allowed are \"off\" alone, or a share from 1% to 100%, with max=TIME behind it"
        ));
        let (word, more) = directive.args().split_first().ok_or("has no value")?;
        let heuristic = match (Heuristic::percent(word), more) {
            (None, []) if word == "off" => Heuristic::OFF,
            (Some(percent), []) => Heuristic { percent, max: Heuristic::DEFAULT_MAX },
            (Some(percent), [max]) => {
                match max.strip_prefix("max=").and_then(|time| directive.seconds(time)) {
                    Some(max) if max > 0 => Heuristic { percent, max },
                    _ => return bad(max),
                }
            }
            (None, _) => return bad(word),
            (Some(_), more) => return bad(more.last().map_or("", String::as_str)),
        };
        conf.steering.heuristic = directive.keep(heuristic)?;
        Ok(())
    }

    /// `twice_set_cookie refuse | drop`
    fn set_cookie(conf, directive) {
        choose_once(&mut conf.steering.set_cookie, directive, &[("refuse", 0), ("drop", 1)])
    }

    /// `twice_request_control on | off`
    fn request_control(conf, directive) {
        choose_once(&mut conf.steering.request_control, directive, ON_OFF)
    }
}
