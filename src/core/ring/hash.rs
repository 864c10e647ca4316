//! twemproxy's hash functions of a key, by their names there.
//!
//! Invariant: each gives what twemproxy gives on x86-64 for every byte string. C's `char` is signed there, so some of
//! them extend a byte's sign before they add it: for bytes from 0x80 on they are none of the published functions.

use crc::{CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc};
use md5::{Digest, Md5};

/// How many there are.
const COUNT: usize = 12;

macro_rules! hashes {
    ($($(#[$help:meta])+ $name:ident = $word:literal, $function:path;)+) => {
        /// A hash function of keys.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Hash { $($(#[$help])+ $name,)+ }

        impl Hash {
            /// All of them, in twemproxy's order.
            pub const ALL: [Self; COUNT] = [$(Self::$name,)+];

            /// Its name in twemproxy's configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The hash of a key.
            pub fn of(self, key: &[u8]) -> u32 {
                match self { $(Self::$name => $function(key),)+ }
            }
        }
    };
}

hashes! {
    /// Jenkins' first one.
    OneAtATime = "one_at_a_time", one_at_a_time;
    /// The first four bytes of MD5.
    Md5 = "md5", md5;
    /// CRC-16/XMODEM in its lower half, and what that has shifted out above.
    Crc16 = "crc16", crc16;
    /// Fifteen bits of CRC-32, as libmemcached has it.
    Crc32 = "crc32", crc32;
    /// CRC-32 as zlib has it.
    Crc32a = "crc32a", crc32a;
    /// The lower half of a 64-bit FNV-1.
    Fnv1_64 = "fnv1_64", fnv1_64;
    /// twemproxy's default: FNV-1a begun and multiplied by the lower halves of the 64-bit constants.
    #[default]
    Fnv1a64 = "fnv1a_64", fnv1a_64;
    /// FNV-1.
    Fnv1_32 = "fnv1_32", fnv1_32;
    /// FNV-1a.
    Fnv1a32 = "fnv1a_32", fnv1a_32;
    /// Paul Hsieh's SuperFastHash, begun with 0.
    Hsieh = "hsieh", hsieh;
    /// MurmurHash2, seeded by the length.
    Murmur = "murmur", murmur;
    /// Jenkins' lookup3, begun with 13.
    Jenkins = "jenkins", jenkins;
}

impl Hash {
    /// The function of this name.
    pub fn from_name(name: &str) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.as_str() == name)
    }
}

/// A byte as C's signed `char` becomes a 32-bit number.
fn extended(byte: u8) -> u32 {
    i32::from(byte.cast_signed()).cast_unsigned()
}

fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = 0u32;
    for &byte in key {
        hash = hash.wrapping_add(extended(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

fn md5(key: &[u8]) -> u32 {
    let [first, ..] = md5_words(key);
    first
}

/// MD5 as four numbers.
pub(super) fn md5_words(text: &[u8]) -> [u32; 4] {
    let bytes: [u8; 16] = Md5::digest(text).into();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// twemproxy keeps this one in 32 bits: what a 16-bit register would shift out stays above it.
fn crc16(key: &[u8]) -> u32 {
    static TABLE: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    key.iter().fold(0u32, |crc, &byte| {
        let [_, _, upper, _] = crc.to_be_bytes();
        // Of one byte it is that byte's entry of the table.
        (crc << 8) ^ u32::from(TABLE.checksum(&[upper ^ byte]))
    })
}

fn crc32(key: &[u8]) -> u32 {
    (crc32a(key) >> 16) & 0x7FFF
}

fn crc32a(key: &[u8]) -> u32 {
    static TABLE: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    TABLE.checksum(key)
}

// The lower halves of the 64-bit constants. Of a product modulo 2^64 the lower half needs the lower halves only, and
// so does an exclusive or: 32-bit numbers do for both 64-bit functions.
const FNV_64_INIT: u32 = 0x8422_2325;
const FNV_64_PRIME: u32 = 0x1B3;
const FNV_32_INIT: u32 = 0x811C_9DC5;
const FNV_32_PRIME: u32 = 0x0100_0193;

fn fnv1_64(key: &[u8]) -> u32 {
    key.iter().fold(FNV_64_INIT, |hash, &byte| hash.wrapping_mul(FNV_64_PRIME) ^ extended(byte))
}

fn fnv1a_64(key: &[u8]) -> u32 {
    key.iter().fold(FNV_64_INIT, |hash, &byte| (hash ^ extended(byte)).wrapping_mul(FNV_64_PRIME))
}

fn fnv1_32(key: &[u8]) -> u32 {
    key.iter().fold(FNV_32_INIT, |hash, &byte| hash.wrapping_mul(FNV_32_PRIME) ^ extended(byte))
}

fn fnv1a_32(key: &[u8]) -> u32 {
    key.iter().fold(FNV_32_INIT, |hash, &byte| (hash ^ extended(byte)).wrapping_mul(FNV_32_PRIME))
}

fn hsieh(key: &[u8]) -> u32 {
    let half = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]));
    let mut hash = 0u32;
    let (words, rest) = key.as_chunks::<4>();
    for &[a, b, c, d] in words {
        hash = hash.wrapping_add(half(a, b));
        hash = (hash << 16) ^ (half(c, d) << 11) ^ hash;
        hash = hash.wrapping_add(hash >> 11);
    }
    match *rest {
        [a, b, c] => {
            hash = hash.wrapping_add(half(a, b));
            hash ^= hash << 16;
            // The one place where this one extends a sign.
            hash ^= extended(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(half(a, b));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

/// A key's length as twemproxy has it: modulo 2^32. Keys of memcached are far shorter.
fn length(key: &[u8]) -> u32 {
    key.len() as u32
}

fn murmur(key: &[u8]) -> u32 {
    const M: u32 = 0x5BD1_E995;
    let mut hash = 0xDEAD_BEEF_u32.wrapping_mul(length(key)) ^ length(key);
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        hash = (hash ^ little_endian(rest)).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// A number of up to four bytes; those that are missing are 0.
fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

fn jenkins(key: &[u8]) -> u32 {
    let start = 0xDEAD_BEEF_u32.wrapping_add(length(key)).wrapping_add(13);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = key;
    let add = |bytes: &[u8], a: &mut u32, b: &mut u32, c: &mut u32| {
        let mut words = bytes.chunks(4).map(little_endian);
        for sum in [a, b, c] {
            *sum = sum.wrapping_add(words.next().unwrap_or(0));
        }
    };
    // The last block, whole or not, is mixed otherwise.
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        rest = after;
        add(block, &mut a, &mut b, &mut c);
        // Six steps, each with another rotation; after each the three change places.
        for (turn, rotation) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
            let (x, y, z) = match turn % 3 {
                0 => (&mut a, &mut b, &mut c),
                1 => (&mut b, &mut c, &mut a),
                _ => (&mut c, &mut a, &mut b),
            };
            *x = x.wrapping_sub(*z) ^ z.rotate_left(rotation);
            *z = z.wrapping_add(*y);
        }
    }
    if rest.is_empty() {
        return c;
    }
    add(rest, &mut a, &mut b, &mut c);
    for (turn, rotation) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (x, y) = match turn % 3 {
            0 => (&mut c, b),
            1 => (&mut a, c),
            _ => (&mut b, a),
        };
        *x = (*x ^ y).wrapping_sub(y.rotate_left(rotation));
    }
    c
}
