//! A zone that a reload emptied: said once, with the reason.
//!
//! nginx keeps a zone's memory over a reload while name, size and tag are the same, and makes new memory
//! otherwise. Workers of the cycle before go on in theirs, which ends with the last of them; the new ones start
//! with nothing. The line is written when the new configuration holds for good, not while it may still fail.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;

use ngx::ffi::{NGX_LOG_NOTICE, ngx_cycle_t, ngx_list_part_t, ngx_module_t, ngx_shm_zone_t};
use ngx::ngx_log_error;

use crate::sys;

/// Says of each of these zones that it starts empty where the cycle before had one of this name.
///
/// # Safety
/// For the init_module callback: `cycle` and `zones` must be the new cycle's, and the cycle before still whole.
pub unsafe fn tell(cycle: *mut ngx_cycle_t, zones: &[*mut ngx_shm_zone_t]) {
    // SAFETY: the caller's promise; at the first start the cycle before is a bare one, without configuration.
    let before = unsafe {
        match (*cycle).old_cycle.as_ref() {
            Some(before) if !before.conf_ctx.is_null() => before,
            _ => return,
        }
    };
    for &zone in zones {
        // SAFETY: a zone of the new cycle, mapped; its name lives in the cycle's pool.
        let (zone, name) = unsafe { (&*zone, sys::bytes((*zone).shm.name)) };
        // SAFETY: the list of the cycle before, whose zones and names live as long as it.
        let Some(old) = (unsafe { find(&before.shared_memory.part, name) }) else { continue };
        // SAFETY: as above.
        if old.shm.addr == zone.shm.addr || unsafe { !is_ours(before, old) } {
            continue;
        }
        let why = if old.shm.size != zone.shm.size {
            format!("its size was changed from {} to {}", size(old.shm.size), size(zone.shm.size))
        } else if let Some((elements, local)) = super::layout::percents(old.tag) {
            format!("its shares were elements={elements}% and local={local}% before")
        } else {
            "the module is another build".to_owned()
        };
        // SAFETY: the new cycle's log is open by now.
        let log = unsafe { (*cycle).log };
        ngx_log_error!(NGX_LOG_NOTICE, log, "twice: zone \"{}\" starts empty: {}", name.escape_ascii(), why);
    }
}

/// The zone of a name in a cycle's list.
///
/// # Safety
/// `part` must be the first part of a cycle's list of shared zones, alive and unchanged for `'a`.
pub unsafe fn find<'a>(part: &'a ngx_list_part_t, name: &[u8]) -> Option<&'a ngx_shm_zone_t> {
    let mut part = Some(part);
    while let Some(here) = part {
        let zones = here.elts.cast::<ngx_shm_zone_t>();
        for i in 0..here.nelts {
            // SAFETY: the caller's promise: a part has `nelts` zones.
            let zone = unsafe { &*zones.add(i) };
            // SAFETY: names live as long as the cycle.
            if unsafe { sys::bytes(zone.shm.name) } == name {
                return Some(zone);
            }
        }
        // SAFETY: null after the last part.
        part = unsafe { here.next.as_ref() };
    }
    None
}

/// Whether a zone of the cycle before was a `twice_zone`, be it another build's.
///
/// # Safety
/// `zone` must be a zone of `cycle`, whose modules are still loaded.
unsafe fn is_ours(cycle: &ngx_cycle_t, zone: &ngx_shm_zone_t) -> bool {
    // A tag is any address; ours lie in the file of the module, as the module itself does.
    let Some(file) = file_of(zone.tag) else { return false };
    let mut module: *mut *mut ngx_module_t = cycle.modules;
    // SAFETY: the cycle's list of modules ends with null, names are C strings or null.
    unsafe {
        while !(*module).is_null() {
            let name = (**module).name;
            if !name.is_null()
                && CStr::from_ptr(name) == crate::NAME
                && file_of((*module).cast()) == Some(file)
            {
                return true;
            }
            module = module.add(1);
        }
    }
    false
}

/// Where the program or library that has this address begins.
fn file_of(address: *const c_void) -> Option<usize> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: looks any address up; `info` is its to write, and zeros are a valid one.
    let info = unsafe {
        libc::dladdr(address, info.as_mut_ptr());
        info.assume_init()
    };
    (!info.dli_fbase.is_null()).then(|| info.dli_fbase.addr())
}

/// A size as a configuration has it.
fn size(bytes: usize) -> String {
    for (unit, shift) in [("g", 30), ("m", 20), ("k", 10)] {
        if bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}
