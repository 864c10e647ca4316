//! Images and other binary answers: stored and sent byte for byte, whatever is in them; `image_filter` works on hits.

use std::process::Command;

use fixture::until;

use super::*;

#[test]
fn binary_answers_pass_unharmed() {
    let both = Beside::start(|setup, origin, twice| {
        let tags = if twice.is_empty() { "" } else { "twice_tags all;" };
        setup.location("/", format!("{twice} {tags} proxy_pass {origin};"))
    });
    // Every byte, in every order of two, and what would be a tag elsewhere.
    let mut body: Vec<u8> = (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).flat_map(move |b| [a, b])).collect();
    body.extend_from_slice(b"<& get cookie name Guest &>");
    let body = body.repeat(4);
    for kind in ["image/png", "image/jpeg", "image/svg+xml", "video/mp4", "font/woff2", "application/pdf"] {
        let path = format!("/{}", kind.replace('/', "-"));
        let answer = Answer::ok(body.clone()).header("Content-Type", kind).cut_every(100_003);
        both.on(&path, answer.header("Cache-Control", "public, max-age=60"));
        let miss = both.ask(&path, as_it_is);
        let hit = both.hit(&path, as_it_is);
        assert_eq!((miss.cache(), hit.cache()), ("MISS", "HIT"));
        assert!(miss.body == body && hit.body == body, "{kind}");
    }
}

/// A black and white picture as GIF 89a. Its pixels are not packed: each is a code of eight bits, and the table of codes
/// is emptied before it would need nine.
fn gif(width: u8, height: u8) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    // Size, a table of 128 colours, which all but the last are black.
    bytes.extend_from_slice(&[width, 0, height, 0, 0xf6, 0, 0]);
    bytes.extend_from_slice(&[0; 3 * 127]);
    bytes.extend_from_slice(&[255; 3]);
    bytes.extend_from_slice(&[b',', 0, 0, 0, 0, width, 0, height, 0, 0, 7]);
    let pixels: Vec<u8> =
        (0..usize::from(width) * usize::from(height)).map(|n| if n % 3 == 0 { 127 } else { 0 }).collect();
    for row in pixels.chunks(100) {
        bytes.push(u8::try_from(row.len() + 1).unwrap());
        bytes.push(0x80);
        bytes.extend_from_slice(row);
    }
    // The end of the codes, of the blocks, of the file.
    bytes.extend_from_slice(&[1, 0x81, 0, b';']);
    bytes
}

/// What loads the image filter, where this nginx has it as a file of its own.
fn image_module() -> String {
    let nginx = std::env::var_os("TWICE_NGINX").expect("TWICE_NGINX is set: the fixture has looked");
    let output = Command::new(nginx).arg("-V").output().unwrap();
    let built = String::from_utf8_lossy(&output.stderr).into_owned();
    let flag = built.split_whitespace().find(|word| word.starts_with("--with-http_image_filter_module"));
    match flag {
        Some("--with-http_image_filter_module") => String::new(),
        Some(_) => {
            let folder = built.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
            format!("load_module {}/ngx_http_image_filter_module.so;", folder.expect("a folder of modules"))
        }
        None => panic!("this nginx has no image filter: run scripts/setup test, and scripts/test"),
    }
}

#[test]
fn the_image_filter_works_on_hits() {
    let module = image_module();
    let both = Beside::start(|setup, origin, twice| {
        let lines = |filter: &str| format!("{twice} image_filter {filter}; proxy_pass {origin};");
        setup
            .main(&module)
            .location("/size/", lines("size"))
            .location("/small/", lines("resize 10 -"))
            .location("/turned/", lines("rotate 90"))
            .location("/chosen/", lines("crop $arg_width $arg_height"))
            .location("/test/", lines("test"))
    });
    both.on(
        "/*",
        Answer::ok(gif(40, 20))
            .header("Content-Type", "image/gif")
            .header("Cache-Control", "public, max-age=60"),
    );
    both.on("/test/broken", Answer::ok("no picture").header("Content-Type", "image/gif"));
    for path in ["/small/a", "/turned/a", "/chosen/a?width=7&height=5", "/test/a"] {
        let miss = both.ask(path, as_it_is);
        let hit = both.hit(path, as_it_is);
        assert_eq!((miss.status, miss.cache(), hit.cache()), (200, "MISS", "HIT"), "{path}");
        assert_eq!(hit.body, miss.body);
        // Alone nginx looks for the picture in HEAD's answer, and says 415.
        let head = both.with.nginx.get(path).head().send();
        assert_eq!((head.status, head.cache()), (200, "HIT"), "{path}");
    }
    // An answer that nginx makes anew, without the lines of the first one.
    until("it is stored", || {
        let before = both.with.origin.count("/size/a");
        let size = both.ask("/size/a", as_it_is);
        assert!(size.text().contains("\"width\": 40") && size.text().contains("\"height\": 20"), "{size:?}");
        both.with.origin.count("/size/a") == before
    });
    let small = both.ask("/small/a", as_it_is).body;
    assert_eq!((&small[..3], &small[6..10]), (b"GIF".as_slice(), [10, 0, 5, 0].as_slice()));
    for _ in 0..2 {
        assert_eq!(both.ask("/test/broken", as_it_is).status, 415);
    }
}
