//! Cases of `parse`.

use super::*;

#[test]
fn durations_are_those_that_kratos_takes() {
    for good in ["15m", "1h30m", "1h", "90s", "250ms", "1us", "1ns", "00001h", "0h1s"] {
        assert!(nanoseconds(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "0s",
        "0h0m",
        "1d",
        "-1h",
        "1.5h",
        "15",
        "h",
        "1h ",
        " 1h",
        "1H",
        "1000000h",
        "9999999999s",
        "1h-",
        "1µs",
    ] {
        assert_eq!(nanoseconds(bad), None, "{bad}");
    }
}

#[test]
fn a_duration_is_as_long_as_it_says() {
    for (text, expected) in [
        ("15m", 900_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("1ns", 1),
        ("2s500ms", 2_500),
        ("1us1ms", 1),
    ] {
        assert_eq!(milliseconds(text), expected, "{text}");
    }
}

#[test]
fn an_origin_has_a_host_and_nothing_behind_it() {
    assert_eq!(origin_host("https://login.example.com"), Some("login.example.com"));
    assert_eq!(origin_host("https://login.example.com:8443"), Some("login.example.com"));
    assert_eq!(origin_host("http://localhost:3000"), Some("localhost"));
    for bad in [
        "http://login.example.com",
        "https://a.example.com/",
        "https://a,b",
        "https://a\"",
        "https://",
        "https://a:",
        "https://a@b.example.com",
        "https://A.example.com",
        "a.example.com",
    ] {
        assert_eq!(origin_host(bad), None, "{bad}");
    }
}

#[test]
fn an_app_has_an_origin_of_its_own() {
    let hash = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    assert!(is_android_app(&format!("android:apk-key-hash:{hash}")));
    assert!(is_android_app(&format!("android:apk-key-hash:{}", "1".repeat(43))));
    for bad in [
        hash.to_owned(),
        format!("android:apk-key-hash:{hash}="),
        format!("android:apk-key-hash:{}", &hash[1..]),
    ] {
        assert!(!is_android_app(&bad), "{bad}");
    }
}

#[test]
fn a_relying_party_covers_its_own_domain_only() {
    assert!(is_at_or_below("login.example.com", "example.com"));
    assert!(is_at_or_below("example.com", "example.com"));
    assert!(!is_at_or_below("badexample.com", "example.com"));
    assert!(!is_at_or_below("example.com", "login.example.com"));
}
