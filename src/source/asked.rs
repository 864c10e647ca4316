//! stub
use crate::sys::Request;
use twice_core::source::Answer;
/// stub
pub struct Asked {
    r: *mut ngx::ffi::ngx_http_request_t,
}
impl Asked {
    /// # Safety
    /// x
    pub unsafe fn came(_page: *mut Asked, _slot: usize, _answer: Answer<'_>) {}
    /// # Safety
    /// x
    pub unsafe fn request<'a>(page: *mut Asked) -> Request<'a> {
        unsafe { Request::new((*page).r) }
    }
}
