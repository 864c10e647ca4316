//! `twice_zone NAME SIZE [max_object=1m] [inactive=TIME] [policy=NAME] [elements=N%] [local=N%] [snapshot=FILE]
//! [snapshot_interval=TIME]` and `twice ZONE | off`.

use std::path::PathBuf;
use std::ptr;

use ngx::ffi::{
    ngx_conf_full_name, ngx_conf_t, ngx_parse_offset, ngx_pool_t, ngx_shared_memory_add, ngx_shm_zone_t,
    ngx_str_t,
};

use twice_core::shares::{MOST, MOST_TOGETHER, Share, Shares, TooFew};
use twice_core::store::Policy;

use super::setters::{Directive, named_setters};
use super::{LocConf, MainConf, Use, main_of};
use crate::shm::{self, DEFAULT_MAX_OBJECT, Misfit, PAGE_EXTRA, Zone};
use crate::snapshot::{self, Snapshot};
use crate::sys;

fn bytes_of(text: &str) -> Option<usize> {
    let mut s = sys::ngx_str(text.as_bytes());
    // SAFETY: nginx only reads the bytes.
    usize::try_from(unsafe { ngx_parse_offset(&raw mut s) }).ok()
}

/// A copy of a name in the configuration's pool, where nginx keeps looking for it.
fn name_in(pool: *mut ngx_pool_t, name: &str) -> Result<ngx_str_t, String> {
    // SAFETY: the running configuration's pool.
    let copy = unsafe { sys::pool_box(pool, name.to_owned()) }.ok_or("found no memory")?;
    // SAFETY: just made; it lives as long as the pool, and is never changed.
    Ok(sys::ngx_str(unsafe { (*copy).as_bytes() }))
}

/// # Safety
/// `cf` must be nginx's running configuration.
unsafe fn shared(cf: *mut ngx_conf_t, name: &str, size: usize) -> Result<*mut ngx_shm_zone_t, String> {
    // SAFETY: the caller's promise; nginx knows zones by name and by our tag.
    unsafe {
        let mut name = name_in((*cf).pool, name)?;
        let zone = ngx_shared_memory_add(cf, &raw mut name, size, crate::tag());
        // nginx has logged what it does not like: the name belongs to another module.
        (!zone.is_null()).then_some(zone).ok_or_else(|| "names a zone that can't be used".to_owned())
    }
}

/// A file's name, which may be relative to nginx's prefix. `None` if it can't be one.
fn full_name(directive: &Directive, text: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // nginx reads its end as a C string's.
    let text = format!("{text}\0");
    let mut name = sys::ngx_str(text.as_bytes());
    name.len -= 1;
    // SAFETY: the running configuration; a name that is full already is left as it is, any other is made anew in the
    // cycle's pool.
    unsafe {
        if ngx_conf_full_name((*directive.cf).cycle, &raw mut name, 0) != sys::OK {
            return Err("found no memory".to_owned());
        }
        Ok(snapshot::file_name(sys::bytes(name)))
    }
}

fn share(option: &str, text: &str) -> Result<Share, String> {
    Share::parse(text).ok_or_else(|| {
        format!("has the option \"{option}\", allowed is a share of the zone from 0% to {MOST}%")
    })
}

/// Tells nginx that zones with other shares are other zones. Only when all is read: until then directives find a zone,
/// be it defined or not, by the one tag that they all know.
///
/// # Safety
/// `main` must be that of the running configuration, whose http block has been read.
pub unsafe fn tell_shares(main: &MainConf) {
    for &shm_zone in &main.zones {
        // SAFETY: a zone of this configuration.
        if let Some(zone) = unsafe { shm::zone_of(shm_zone) } {
            // SAFETY: as above; nginx compares tags when the configuration is read to its end.
            unsafe { (*shm_zone).tag = shm::tag(zone.shares()) };
        }
    }
}

named_setters! {
    /// The setter of `twice_zone`.
    fn twice_zone = define;
}

fn define(main: &mut MainConf, directive: &Directive) -> Result<(), String> {
    let [name, size_text, options @ ..] = directive.args() else {
        return Err("takes a name and a size".to_owned());
    };
    let name_ok = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if name.is_empty() || name == "off" || !name.bytes().all(name_ok) {
        return Err(format!(
            "has the name \"{name}\", allowed are letters, digits, \"_\", \"-\", \".\", and not \"off\""
        ));
    }
    let size = bytes_of(size_text)
        .ok_or_else(|| format!("has the size \"{size_text}\", allowed is a size such as 512k, 256m or 1g"))?;
    let (mut max_object, mut inactive_ms, mut policy) = (None, 0, Policy::default());
    let (mut snapshot, mut snapshot_interval) = (None, None);
    let mut shares = Shares::default();
    for (i, option) in options.iter().enumerate() {
        let name = |option: &str| option.split_once('=').map(|(name, _)| name.to_owned());
        if name(option).is_some() && options.iter().take(i).any(|other| name(other) == name(option)) {
            return Err(format!(
                "has the option \"{option}\" besides another one of its name, allowed is one"
            ));
        }
        if let Some(text) = option.strip_prefix("max_object=") {
            let value = bytes_of(text).filter(|&n| n > 0 && n <= 1 << 30);
            max_object = Some(value.ok_or_else(|| {
                format!("has the option \"{option}\", allowed is a size from 1 byte to 1g")
            })?);
        } else if let Some(text) = option.strip_prefix("inactive=") {
            let seconds = directive.seconds(text).filter(|&s| s > 0);
            inactive_ms = seconds.ok_or_else(|| {
                format!("has the option \"{option}\", allowed is a time such as 10m or 1d, at least 1s")
            })? * 1000;
        } else if let Some(name) = option.strip_prefix("policy=") {
            policy = Policy::from_name(name).ok_or_else(|| {
                let names = Policy::ALL.map(Policy::as_str).join(", ");
                format!("has the option \"{option}\", allowed are the policies {names}")
            })?;
        } else if let Some(text) = option.strip_prefix("elements=") {
            shares.elements = share(option, text)?;
        } else if let Some(text) = option.strip_prefix("local=") {
            shares.local = share(option, text)?;
        } else if let Some(text) = option.strip_prefix("snapshot=") {
            let file = full_name(directive, text)?;
            snapshot = Some(
                file.ok_or_else(|| format!("has the option \"{option}\", allowed is the name of a file"))?,
            );
        } else if let Some(text) = option.strip_prefix("snapshot_interval=") {
            let seconds = directive.seconds(text).filter(|&s| s > 0);
            let seconds = seconds.ok_or_else(|| {
                format!("has the option \"{option}\", allowed is a time such as 1m or 1h, at least 1s")
            })?;
            snapshot_interval = Some(seconds * 1000);
        } else {
            return Err(format!(
                "has the option \"{option}\", allowed are max_object=SIZE, inactive=TIME, policy=NAME, \
                 elements=N%, local=N%, snapshot=FILE and snapshot_interval=TIME"
            ));
        }
    }
    let (elements, local) = (shares.elements.percent(), shares.local.percent());
    if elements + local > MOST_TOGETHER {
        return Err(format!(
            "has elements={elements}% and local={local}%, allowed are {MOST_TOGETHER}% together"
        ));
    }
    let geometry = shm::geometry(size, shares).map_err(|why| match why {
        Misfit::Size(least) => format!(
            "has the size \"{size_text}\", too small for one page, allowed is {}k or more",
            least.div_ceil(1024)
        ),
        Misfit::Share(TooFew { name, least }) => {
            let value = if name == "local" { local } else { elements };
            let enough = if least <= MOST.into() { format!("{least}% to {MOST}%") } else { "a larger zone".into() };
            format!("has {name}={value}% of the size \"{size_text}\", too small for one value, allowed are 0% and {enough}")
        }
    })?;
    let largest = geometry.largest_page();
    let max_object = match max_object {
        Some(wanted) if wanted + PAGE_EXTRA > largest => {
            return Err(format!(
                "has the size \"{size_text}\", too small for one page of max_object={wanted}, allowed is \
                 a larger zone or max_object={} or less",
                largest.saturating_sub(PAGE_EXTRA)
            ));
        }
        Some(wanted) => wanted,
        // A small zone without the option keeps what it can hold.
        None => DEFAULT_MAX_OBJECT.min(largest),
    };
    let snapshot = match (snapshot, snapshot_interval) {
        (None, Some(_)) => {
            return Err("has snapshot_interval=TIME alone, allowed is snapshot=FILE with it".to_owned());
        }
        (file, interval) => file.map(|file| Snapshot::new(file, interval.unwrap_or(0))),
    };
    if let Some(snapshot) = &snapshot {
        // SAFETY: zones of this configuration.
        let mut others = main.zones.iter().filter_map(|&other| unsafe { shm::zone_of(other) });
        if let Some(other) = others.find(|o| o.snapshot().is_some_and(|s| s.collides(snapshot))) {
            return Err(format!(
                "has the snapshot of the zone \"{}\", allowed is another file",
                other.name()
            ));
        }
    }
    // SAFETY: the running configuration.
    let shm_zone = unsafe { shared(directive.cf, name, size)? };
    if main.zones.contains(&shm_zone) {
        return Err(format!("has the name \"{name}\" a second time, allowed is another name"));
    }
    let zone = Zone::new(name, max_object, inactive_ms, policy, shares).with_snapshot(snapshot);
    let zone = directive.keep(zone)?;
    // SAFETY: a shared zone of this configuration, ours by its tag.
    unsafe {
        (*shm_zone).data = zone.cast();
        (*shm_zone).init = Some(shm::init_zone);
    }
    main.zones.push(shm_zone);
    Ok(())
}

named_setters! {
    /// The setter of `twice`.
    fn twice = switch;
}

fn switch(conf: &mut LocConf, directive: &Directive) -> Result<(), String> {
    if conf.zone != sys::unset_ptr() {
        return Err("is given twice in one block, allowed is once".to_owned());
    }
    let name = directive.arg();
    if name == "off" {
        conf.zone = ptr::null_mut();
        return Ok(());
    }
    if name.is_empty() {
        return Err("has the value \"\", allowed are \"off\" and the name of a zone".to_owned());
    }
    conf.zone = named(directive, "twice", name)?;
    Ok(())
}

/// The zone of a name that is defined elsewhere, before or after: `check` finds names that nothing defines.
pub fn named(directive: &Directive, what: &'static str, name: &str) -> Result<*mut ngx_shm_zone_t, String> {
    // SAFETY: the running configuration, inside its http block.
    unsafe {
        let zone = shared(directive.cf, name, 0)?;
        let (file, line) = directive.place();
        let one = Use { directive: what, zone: name.to_owned(), file, line };
        main_of(directive.cf).uses.push(one);
        Ok(zone)
    }
}
