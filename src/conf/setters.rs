//! Setters of the location's directives. Each reads its words and says what it would have allowed.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use ngx::ffi::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_LOG_EMERG, ngx_command_t, ngx_conf_t, ngx_http_compile_complex_value,
    ngx_http_compile_complex_value_t, ngx_http_complex_value_t, ngx_parse_time, ngx_pcalloc, ngx_str_t,
    ngx_uint_t,
};
use ngx::ngx_conf_log_error;
use twice_core::policy::{Factor, HeaderNames, UseStale, Valid, is_token};
use twice_core::template::Delimiters;
use twice_core::variants::{MAX_NAME, MAX_VARIANTS};

use super::{LocConf, UNSET};
use crate::guard::guarded;
use crate::sys;

/// The default of `twice_methods`.
pub const GET_AND_HEAD: ngx_uint_t = (NGX_HTTP_GET | NGX_HTTP_HEAD) as ngx_uint_t;

/// What nobody waits for any more.
const MAX_INCLUDE_TIMEOUT_MS: ngx_uint_t = 60 * 60 * 1000;

/// nginx's `NGX_CONF_ERROR`.
pub fn failed() -> *mut c_char {
    ptr::without_provenance_mut(usize::MAX)
}

/// A directive that is being read.
pub struct Directive {
    pub cf: *mut ngx_conf_t,
    words: Vec<String>,
}

impl Directive {
    /// # Safety
    /// `cf` must be nginx's running configuration, inside a setter.
    unsafe fn new(cf: *mut ngx_conf_t) -> Result<Self, String> {
        // SAFETY: in a setter `cf->args` holds the directive's words.
        let words = unsafe { (*(*cf).args).as_slice::<ngx_str_t>() };
        let words = words
            .iter()
            // SAFETY: words of the configuration, alive while it is read.
            .map(|word| String::from_utf8(unsafe { sys::bytes(*word) }.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| "has a value that is not UTF-8".to_owned())?;
        Ok(Self { cf, words })
    }

    /// The words behind the directive's name.
    pub fn args(&self) -> &[String] {
        &self.words[1..]
    }

    /// The first argument: nginx checks that there is one.
    pub fn arg(&self) -> &str {
        &self.words[1]
    }

    /// Seconds of nginx's time syntax, such as `30s` or `1h 30m`.
    pub fn seconds(&self, text: &str) -> Option<u64> {
        let mut s = sys::ngx_str(text.as_bytes());
        // SAFETY: nginx only reads the bytes. 1: whole seconds.
        u64::try_from(unsafe { ngx_parse_time(&raw mut s, 1) }).ok()
    }

    /// Milliseconds of nginx's time syntax, such as `500ms` or `5s`.
    pub fn milliseconds_of(&self, text: &str) -> Option<u64> {
        let mut s = sys::ngx_str(text.as_bytes());
        // SAFETY: nginx only reads the bytes. 0: milliseconds.
        u64::try_from(unsafe { ngx_parse_time(&raw mut s, 0) }).ok()
    }

    /// The same of the first argument.
    fn milliseconds(&self) -> Result<ngx_uint_t, String> {
        let time = self.milliseconds_of(self.arg()).and_then(|time| ngx_uint_t::try_from(time).ok());
        time.ok_or_else(|| {
            format!("has the value \"{}\", allowed is a time such as 500ms, 5s or 1m", self.arg())
        })
    }

    /// File and line where it stands.
    pub fn place(&self) -> (String, usize) {
        // SAFETY: the running configuration has a file that it is read from.
        unsafe {
            let file = &*(*self.cf).conf_file;
            (String::from_utf8_lossy(sys::bytes(file.file.name)).into_owned(), file.line)
        }
    }

    /// Moves a value into the configuration's pool.
    pub fn keep<T>(&self, value: T) -> Result<*mut T, String> {
        // SAFETY: the running configuration's pool.
        unsafe { sys::pool_box((*self.cf).pool, value) }.ok_or_else(|| "found no memory".to_owned())
    }

    /// Compiles a string with variables.
    fn complex(&self) -> Result<*mut ngx_http_complex_value_t, String> {
        // SAFETY: `args` has at least two words; the compiled value lives in the configuration's pool.
        unsafe {
            let value = (*(*self.cf).args).elts.cast::<ngx_str_t>().add(1);
            let to = ngx_pcalloc((*self.cf).pool, size_of::<ngx_http_complex_value_t>());
            if to.is_null() {
                return Err("found no memory".to_owned());
            }
            let mut ccv = MaybeUninit::<ngx_http_compile_complex_value_t>::zeroed().assume_init();
            ccv.cf = self.cf;
            ccv.value = value;
            ccv.complex_value = to.cast();
            if ngx_http_compile_complex_value(&raw mut ccv) != sys::OK {
                return Err(format!("has the value \"{}\", allowed is a string with variables", self.arg()));
            }
            Ok(to.cast())
        }
    }
}

/// Runs a setter and tells nginx's log what it did not like.
///
/// # Safety
/// The arguments must be those that nginx passed to the setter.
pub unsafe fn set<C>(
    cf: *mut ngx_conf_t,
    cmd: *mut ngx_command_t,
    conf: *mut c_void,
    setter: impl FnOnce(&mut C, &Directive) -> Result<(), String>,
) -> *mut c_char {
    guarded(failed(), || {
        // SAFETY: the caller's promise: `conf` is the structure that the command's `conf` field names.
        let result = unsafe { Directive::new(cf).and_then(|d| setter(&mut *conf.cast::<C>(), &d)) };
        let Err(why) = result else { return ptr::null_mut() };
        // One error is one line of the log, whatever the value holds.
        let why = why.replace(['\n', '\r'], " ");
        // SAFETY: a command of our table.
        let name = unsafe { sys::bytes((*cmd).name) };
        ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"{}\" {}", name.escape_ascii(), why);
        failed()
    })
}

/// Setters with what they do: `fn NAME(conf, directive) { ... }`, for the location's configuration.
macro_rules! setters {
    ($($(#[$doc:meta])* fn $name:ident($conf:ident, $directive:ident) $body:block)+) => {
        $crate::conf::setters::named_setters! {$(
            $(#[$doc])*
            fn $name = |$conf: &mut LocConf, $directive: &Directive| -> Result<(), String> { $body };
        )+}
    };
}

/// Setters that are functions of their own, by what they set: `fn NAME = FUNCTION;`.
macro_rules! named_setters {
    ($($(#[$doc:meta])* fn $name:ident = $inner:expr;)+) => {$(
        $(#[$doc])*
        pub unsafe extern "C" fn $name(
            cf: *mut ::ngx::ffi::ngx_conf_t,
            cmd: *mut ::ngx::ffi::ngx_command_t,
            conf: *mut ::std::ffi::c_void,
        ) -> *mut ::std::ffi::c_char {
            // Outside of the block: what it does vouches for nothing.
            let inner = $inner;
            // SAFETY: nginx calls a setter with what its command asks for.
            unsafe { $crate::conf::setters::set(cf, cmd, conf, inner) }
        }
    )+};
}

pub(super) use {named_setters, setters};

/// One place may be set once.
pub fn once(is_set: bool) -> Result<(), String> {
    if is_set { Err("is given twice in one block, allowed is once".to_owned()) } else { Ok(()) }
}

/// Whether a place was set.
pub fn is_set<T>(p: *mut T) -> bool {
    p != sys::unset_ptr()
}

/// A cookie's name (RFC 6265 4.1.1: a token).
pub fn is_cookie_name(name: &str) -> bool {
    name.len() <= MAX_NAME && is_token(name.as_bytes())
}

/// Sets one place to what a list of allowed words says of the first argument, once.
pub fn choose_once(
    place: &mut ngx_uint_t,
    directive: &Directive,
    allowed: &[(&str, ngx_uint_t)],
) -> Result<(), String> {
    once(*place != UNSET)?;
    *place = choose(directive.arg(), allowed)?;
    Ok(())
}

/// `on` and `off`.
pub const ON_OFF: &[(&str, ngx_uint_t)] = &[("off", 0), ("on", 1)];

/// Finds a word in a list of allowed ones.
pub fn choose(word: &str, allowed: &[(&str, ngx_uint_t)]) -> Result<ngx_uint_t, String> {
    allowed.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = allowed.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        format!("has the value \"{word}\", allowed are {}", names.join(", "))
    })
}

setters! {
    /// `twice_key STRING`
    fn key(conf, directive) {
        once(is_set(conf.key))?;
        if directive.arg().is_empty() {
            return Err("has the value \"\", allowed is a string with variables".to_owned());
        }
        if is_set(conf.ignored) && !conf.ignored.is_null() {
            return Err("stands beside \"twice_ignore_args\", allowed is one of them".to_owned());
        }
        conf.key = directive.complex()?;
        Ok(())
    }

    /// `twice_methods GET HEAD`
    fn methods(conf, directive) {
        once(conf.methods != UNSET)?;
        let allowed = [("GET", NGX_HTTP_GET as ngx_uint_t), ("HEAD", NGX_HTTP_HEAD as ngx_uint_t)];
        let mut methods = 0;
        for word in directive.args() {
            methods |= choose(word, &allowed)?;
        }
        conf.methods = methods;
        Ok(())
    }

    /// `twice_valid [CODE...] TIME`
    fn valid(conf, directive) {
        let (time, codes) = directive.args().split_last().ok_or("has no value")?;
        let seconds = directive.seconds(time).ok_or_else(|| format!(
            "has the time \"{time}\", allowed is a time such as 30s, 10m or 1h"
        ))?;
        if !is_set(conf.valid) {
            conf.valid = directive.keep(Valid::default())?;
        }
        // SAFETY: just made, or made by an earlier directive of this block.
        let table = unsafe { &mut *conf.valid };
        if codes.is_empty() {
            if time.len() == 3 && time.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!(
                    "has the value \"{time}\" alone, which looks like a code; allowed is a time behind it, and \
                     a time with its unit, such as {time}s"
                ));
            }
            table.add_default(seconds);
        }
        for code in codes {
            table.add(code, seconds).map_err(|why| format!("has the code \"{code}\", which {why}"))?;
        }
        Ok(())
    }

    /// `twice_tags off | marked | guarded | all`
    fn tags(conf, directive) {
        choose_once(&mut conf.tags, directive, &[("off", 0), ("marked", 1), ("guarded", 3), ("all", 2)])
    }

    /// `twice_delimiters OPEN CLOSE | ~REGEX`
    fn delimiters(conf, directive) {
        once(is_set(conf.delimiters))?;
        let made = match directive.args() {
            [regex] => match regex.strip_prefix('~') {
                Some(regex) => Delimiters::regex(regex),
                None => return Err(format!(
                    "has the value \"{regex}\" alone, allowed are two strings, or one expression that begins with \"~\""
                )),
            },
            [open, close] => Delimiters::strings(open.as_bytes(), close.as_bytes()),
            _ => return Err("takes one or two values".to_owned()),
        };
        let made = made.map_err(|why| format!("has the value \"{}\": {why}", directive.args().join(" ")))?;
        conf.delimiters = directive.keep(Arc::new(made))?;
        Ok(())
    }

    /// `twice_escape auto | html | off`
    fn escape(conf, directive) {
        choose_once(&mut conf.escape, directive, &[("off", 0), ("html", 1), ("auto", 2)])
    }

    /// `twice_headers KEY=NAME...`
    fn headers(conf, directive) {
        if !is_set(conf.headers) {
            conf.headers = directive.keep(HeaderNames::default())?;
        }
        // SAFETY: just made, or made by an earlier directive of this block.
        let names = unsafe { &mut *conf.headers };
        for word in directive.args() {
            let (key, name) = word.split_once('=').ok_or_else(|| format!(
                "has the value \"{word}\", allowed is KEY=NAME"
            ))?;
            names.set(key, name).map_err(|why| format!("has the value \"{word}\", which {why}"))?;
        }
        Ok(())
    }

    /// `twice_max_variants N`
    fn max_variants(conf, directive) {
        once(conf.max_variants != UNSET)?;
        let text = directive.arg();
        let number = text.parse().ok().filter(|number| (1..=MAX_VARIANTS).contains(number));
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        conf.max_variants = number.filter(|_| is_plain).ok_or_else(|| format!(
            "has the value \"{text}\", allowed is a number from 1 to {MAX_VARIANTS}"
        ))?;
        Ok(())
    }

    /// `twice_lock on | off`
    fn lock(conf, directive) {
        choose_once(&mut conf.lock, directive, ON_OFF)
    }

    /// `twice_revalidate on | off`
    fn revalidate(conf, directive) {
        choose_once(&mut conf.revalidate, directive, ON_OFF)
    }

    /// `twice_lock_timeout TIME`
    fn lock_timeout(conf, directive) {
        once(conf.lock_timeout != UNSET)?;
        conf.lock_timeout = directive.milliseconds()?;
        Ok(())
    }

    /// `twice_lock_age TIME`
    fn lock_age(conf, directive) {
        once(conf.lock_age != UNSET)?;
        conf.lock_age = directive.milliseconds()?;
        Ok(())
    }

    /// `twice_include_timeout TIME`
    fn include_timeout(conf, directive) {
        once(conf.include_timeout != UNSET)?;
        let time = directive.milliseconds()?;
        if !(1..=MAX_INCLUDE_TIMEOUT_MS).contains(&time) {
            return Err(format!("has the value \"{}\", allowed is a time from 1ms to 1h", directive.arg()));
        }
        conf.include_timeout = time;
        Ok(())
    }

    /// `twice_geo VARIABLE`
    fn geo(conf, directive) {
        once(is_set(conf.geo))?;
        conf.geo = directive.complex()?;
        Ok(())
    }

    /// `twice_stale_factor NUMBER`
    fn stale_factor(conf, directive) {
        once(conf.stale_factor != UNSET)?;
        let factor = Factor::parse(directive.arg()).ok_or_else(|| format!(
            "has the value \"{}\", allowed is a number from 1 (no stale pages) to 1000, such as 3 or 1.5", directive.arg()
        ))?;
        conf.stale_factor = factor.to_number();
        Ok(())
    }

    /// `twice_use_stale WORD... | off`
    fn use_stale(conf, directive) {
        once(conf.use_stale != UNSET)?;
        let mut words = UseStale::OFF;
        if directive.args() != ["off"] {
            for word in directive.args() {
                words = words.with(word).map_err(|why| format!("has the value \"{word}\", {why}"))?;
            }
        }
        conf.use_stale = words.to_number();
        Ok(())
    }
}
