//! `twice_audit on [ignore=HEADER[,HEADER...]]... | off`

use twice_core::audit::Ignored;

use super::LocConf;
use super::setters::{Directive, is_set, once, setters};

setters! {
    /// `twice_audit`
    fn audit(conf, directive) {
        once(is_set(conf.audit))?;
        let (word, options) = directive.args().split_first().ok_or("has no value")?;
        conf.audit = match word.as_str() {
            "off" if options.is_empty() => std::ptr::null_mut(),
            "on" => directive.keep(ignored(options)?)?,
            "off" => {
                let option = options.first().map_or("", String::as_str);
                return Err(format!("has the value \"{option}\" beside \"off\", allowed is \"off\" alone"));
            }
            word => return Err(format!("has the value \"{word}\", allowed are \"on\" and \"off\"")),
        };
        Ok(())
    }
}

fn ignored(options: &[String]) -> Result<Ignored, String> {
    let mut ignored = Ignored::default();
    for option in options {
        let names = option
            .strip_prefix("ignore=")
            .ok_or_else(|| format!("has the value \"{option}\", allowed is ignore=HEADER"))?;
        for name in names.split(',') {
            ignored.add(name).map_err(|why| format!("has the value \"{option}\", {why}"))?;
        }
    }
    Ok(ignored)
}
