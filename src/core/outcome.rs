//! What became of a request: one name for each outcome.
//!
//! The log, `$twice_cache_status`, `$twice_reason`, the `Cache-Status` header, the README's tables and
//! the tests all use the names of this file and no others.

/// The word of `$twice_cache_status`: nginx's own words for its caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// Looked up and not found.
    Miss,
    /// Not looked up because `twice_bypass` says so.
    Bypass,
    /// Found, but its lifetime is over: fetched anew.
    Expired,
    /// Served from the store though its lifetime is over: this request has a refresh started, or the origin failed.
    Stale,
    /// Served from the store though its lifetime is over: a refresh is under way already.
    Updating,
    /// Served from the store though its lifetime was over: its origin says that it is still the same.
    Revalidated,
    /// Served from the store.
    Hit,
}

impl CacheStatus {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 7] =
        [Self::Miss, Self::Bypass, Self::Expired, Self::Stale, Self::Updating, Self::Revalidated, Self::Hit];

    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "MISS",
            Self::Bypass => "BYPASS",
            Self::Expired => "EXPIRED",
            Self::Stale => "STALE",
            Self::Updating => "UPDATING",
            Self::Revalidated => "REVALIDATED",
            Self::Hit => "HIT",
        }
    }

    /// Why the request went to the origin, as `Cache-Status` has it (RFC 9211, 2.2); that of a hit is of no use.
    pub const fn forward(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Expired | Self::Revalidated => "stale",
            Self::Miss | Self::Stale | Self::Updating | Self::Hit => "uri-miss",
        }
    }
}

/// What a reason speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// The page was served from the store or went into it.
    Stored,
    /// The request was not looked up, and its answer is not stored.
    NotLookedUp,
    /// The answer was fetched and not stored.
    NotStored,
}

macro_rules! reasons {
    ($($(#[doc = $help:literal])+ $name:ident = $word:literal, $kind:ident;)+) => {
        /// The word of `$twice_reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason { $($(#[doc = $help])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word for logs, variables, metrics and tests.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What the reason speaks of.
            pub const fn kind(self) -> ReasonKind {
                match self { $(Self::$name => ReasonKind::$kind,)+ }
            }

            /// One sentence for the documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($help,)+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// Served from the store.
    Hit = "hit", Stored;
    /// Served from the store after its lifetime, while it is renewed.
    Stale = "stale", Stored;
    /// Served from the store after its lifetime, because the origin failed (`twice_use_stale`).
    OriginFailed = "origin_failed", Stored;
    /// The answer is being recorded; it is stored when it has come whole.
    Recording = "recording", Stored;
    /// The answer was stored.
    Stored = "stored", Stored;
    /// The method is not one of `twice_methods`.
    Method = "method", NotLookedUp;
    /// A GET or HEAD with a body: the body is not part of the key.
    RequestBody = "request_body", NotLookedUp;
    /// The URI and the `Host` header name different hosts: what the origin would see is not what the key says.
    HostMismatch = "host_mismatch", NotLookedUp;
    /// The client asks to switch protocols.
    Upgrade = "upgrade", NotLookedUp;
    /// The key is longer than 16 KB.
    KeyTooLong = "key_too_long", NotLookedUp;
    /// Sent to the host of the visitor's language: `twice_language_redirect`.
    LanguageHost = "language_host", NotLookedUp;
    /// nginx answered before the lookup: a rewrite, a refused access, an error.
    Early = "early", NotLookedUp;
    /// The client left while its request waited for another one's fetch.
    Waiting = "waiting", NotStored;
    /// A HEAD that found no page: it goes to the origin as HEAD, whose answer has no body to store. What `post_action` asks for is treated alike. Of what `auth_request` and `mirror` ask for nobody reads a body: it is not looked up.
    Head = "head", NotStored;
    /// The client wanted a stored page or none (`only-if-cached`, where `twice_request_control` hears it), and there was none: 504.
    OnlyIfCached = "only_if_cached", NotStored;
    /// `twice_no_store` says so, or the request by `no-store` where `twice_request_control` hears it.
    NoStore = "no_store", NotStored;
    /// The response states no lifetime and `twice_valid` gives none.
    NoLifetime = "no_lifetime", NotStored;
    /// The response states a lifetime that is already over, such as `max-age=0`.
    ZeroLifetime = "zero_lifetime", NotStored;
    /// A status that is not stored: 5xx, 206, 304 and most of 3xx and 4xx.
    Status = "status", NotStored;
    /// The response says `Cache-Control: no-store`, `private` or `no-cache`, or another header of `twice_honor` does.
    CacheControl = "cache_control", NotStored;
    /// The response sets a cookie and is not steered by the control header.
    SetCookie = "set_cookie", NotStored;
    /// The request has `Authorization` and the response does not say that it may be shared.
    Authorization = "authorization", NotStored;
    /// The response varies by what can't be told: `Vary: *`, no name of a header or cookie, an A/B test that there isn't, more than 16 cookies and headers, a name above 256 bytes.
    Varies = "varies", NotStored;
    /// The page depends on a cookie or header that an application may read otherwise in this request: a cookie named in another case, one behind a comma or white space, or among quotes; a header with `_` for `-`.
    Unclear = "unclear", NotStored;
    /// The response has a `Content-Encoding`: not every client could read it.
    ContentEncoding = "content_encoding", NotStored;
    /// The origin's answer has two lengths, or, where `twice_require_length` asks for it, no end of its own: whether it came whole is anybody's guess.
    Framing = "framing", NotStored;
    /// The page is larger than `max_object`, or than its zone can hold.
    TooLarge = "too_large", NotStored;
    /// The answer was cut short, or the client left before its end.
    Incomplete = "incomplete", NotStored;
    /// The response names more than 4096 surrogate keys.
    TooManyKeys = "too_many_keys", NotStored;
    /// The page, or something that its response names, was purged while it was fetched.
    Purged = "purged", NotStored;
    /// The origin has confirmed a page (by a 304, or in its answer to a HEAD) that was replaced or taken out of the store meanwhile.
    Overtaken = "overtaken", NotStored;
    /// The page waits for a second visitor who is sent the same: `twice_audit`.
    AuditWaits = "audit_waits", NotStored;
    /// Two visitors were sent different pages: `twice_audit`. `$twice_reason` and the error log tell the first place.
    AuditDiffers = "audit_differs", NotStored;
    /// No room could be made: all pages are being sent.
    NoRoom = "no_room", NotStored;
    /// Memory ran out or an internal error was caught; the error log says more.
    Failed = "failed", NotStored;
}
