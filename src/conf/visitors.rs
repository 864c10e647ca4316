//! Setters of what is about visitors: A/B tests, languages and their hosts, and arguments that say where they came from.

use ngx::ffi::ngx_http_add_variable;
use twice_core::ab::{self, Test};
use twice_core::key::{Ignored, MAX_IGNORED};
use twice_core::language::{Hosts, Languages};

use super::setters::{Directive, ON_OFF, choose_once, is_cookie_name, is_set, named_setters, once, setters};
use super::{LocConf, MainConf};
use crate::{sys, variables};

named_setters! {
    /// `twice_ab_test NAME VALUE=WEIGHT...`
    fn ab_test = add_test;
    /// `twice_ab_cookie NAME`
    fn ab_cookie = set_cookie;
}

fn add_test(main: &mut MainConf, directive: &Directive) -> Result<(), String> {
    let (name, words) = directive.args().split_first().ok_or("has no value")?;
    let test = Test::parse(name, words.iter().map(String::as_str)).map_err(|why| why.to_string())?;
    if main.ab_tests.len() == ab::MOST {
        return Err(format!("has the name \"{name}\", allowed are {} tests", ab::MOST));
    }
    let variable = format!("twice_ab_{}", test.variable());
    if let Some(other) = main.ab_tests.iter().find(|other| other.variable() == test.variable()) {
        return Err(format!(
            "has the name \"{name}\", whose variable ${variable} is that of \"{}\", allowed is another name",
            other.name()
        ));
    }
    let mut text = sys::ngx_str(variable.as_bytes());
    // SAFETY: the running configuration; nginx copies the name. The variable it returns is ours to fill, if it is new.
    unsafe {
        let made = ngx_http_add_variable(directive.cf, &raw mut text, 0);
        if made.is_null() || (*made).get_handler.is_some() || (*made).set_handler.is_some() {
            return Err(format!(
                "has the name \"{name}\", whose variable ${variable} is there already, allowed is another name"
            ));
        }
        (*made).get_handler = Some(variables::ab_value);
        (*made).data = main.ab_tests.len();
    }
    main.ab_tests.push(test);
    Ok(())
}

fn set_cookie(main: &mut MainConf, directive: &Directive) -> Result<(), String> {
    once(main.ab_cookie.is_some())?;
    let name = directive.arg();
    if name.len() > 64 || !is_cookie_name(name) {
        return Err(format!(
            "has the value \"{name}\", allowed are letters, digits and !#$%&'*+-.^_`|~, 64 at most"
        ));
    }
    main.ab_cookie = Some(name.to_owned());
    Ok(())
}

setters! {
    /// `twice_languages TAG...`
    fn languages(conf, directive) {
        once(is_set(conf.languages))?;
        let languages = Languages::parse(directive.args().iter().map(String::as_str));
        conf.languages = directive.keep(languages.map_err(|why| why.to_string())?)?;
        Ok(())
    }

    /// `twice_vary_language on | off`
    fn vary_language(conf, directive) {
        choose_once(&mut conf.vary_language, directive, ON_OFF)
    }

    /// `twice_language_redirect SCHEME://*.HOST | off`
    fn language_redirect(conf, directive) {
        once(is_set(conf.language_hosts))?;
        let word = directive.arg();
        conf.language_hosts = match word {
            "off" => std::ptr::null_mut(),
            _ => {
                let hosts = Hosts::parse(word).map_err(|why| format!("has the value \"{word}\", {why}"))?;
                directive.keep(hosts)?
            }
        };
        Ok(())
    }

    /// `twice_ignore_args NAME|PREFIX*... | off`
    fn ignore_args(conf, directive) {
        once(is_set(conf.ignored))?;
        if directive.args() == ["off"] {
            conf.ignored = std::ptr::null_mut();
            return Ok(());
        }
        if is_set(conf.key) {
            return Err(WITH_KEY.to_owned());
        }
        let mut ignored = Ignored::default();
        for word in directive.args() {
            if word == "off" || !ignored.add(word) {
                return Err(format!(
                    "has the value \"{word}\", allowed are \"off\" alone, or up to {MAX_IGNORED} names of arguments of \
                     64 bytes at most, without &, =, ; and #, with a * at the end for all that begin so"
                ));
            }
        }
        conf.ignored = directive.keep(ignored)?;
        Ok(())
    }
}

/// Why `twice_ignore_args` is refused: whoever writes the key himself says what is in it.
pub const WITH_KEY: &str = "stands beside \"twice_key\", allowed is the default key";
