//! Where it may go by address, whatever the name said.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pilotlight_core::outbound::{Outbound, address_allowed};
use proptest::prelude::*;

use crate::support::*;

#[tokio::test]
async fn a_star_means_public_addresses_only() {
    let address = replying(HELLO).await;
    let local = Names::new([&[LOCAL]]);
    let outbound = resolving(grant(&["*"]), local);
    for uri in [
        at(address, "/"),
        format!("http://svc.test:{}/", address.port()),
        format!("http://localhost:{}/", address.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", address.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.1.2.3/".to_owned(),
        "http://[::1]/".to_owned(),
        "http://0.0.0.0/".to_owned(),
    ] {
        assert_eq!(failure(&outbound, &uri).await, "DestinationIpProhibited", "{uri}");
    }
    let beside = resolving(grant(&["*", &format!("http://{address}")]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&beside, &at(address, "/")).await, "ok");
}

#[tokio::test]
async fn any_address_lifts_the_check() {
    let address = replying(HELLO).await;
    let mut everything = grant(&["*"]);
    everything.any_address = true;
    let outbound = resolving(everything, Names::new([&[LOCAL]]));
    assert_eq!(failure(&outbound, &at(address, "/")).await, "ok");
    assert_eq!(failure(&outbound, &format!("http://localhost:{}/", address.port())).await, "ok");
}

#[tokio::test]
async fn a_name_never_opens_an_address_that_is_not_listed() {
    let address = replying(HELLO).await;
    let port = address.port();
    let name = format!("http://svc.test:{port}");
    let unlisted = resolving(grant(&[&name]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&unlisted, &name).await, "DestinationIpProhibited");
    // Listed, but for another port, then for another scheme.
    let elsewhere = resolving(grant(&[&name, "http://127.0.0.1:1"]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&elsewhere, &name).await, "DestinationIpProhibited");
    let encrypted = resolving(grant(&[&name, &format!("https://{address}")]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&encrypted, &name).await, "DestinationIpProhibited");
    let listed = resolving(grant(&[&name, &format!("http://{address}")]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&listed, &name).await, "ok");
}

#[tokio::test]
async fn localhost_works_once_its_address_stands_beside_it() {
    let address = replying(HELLO).await;
    let name = format!("http://localhost:{}", address.port());
    let outbound = resolving(grant(&[&name, &format!("http://{address}")]), Names::new([&[LOCAL]]));
    assert_eq!(failure(&outbound, &name).await, "ok");
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_at_each_connect() {
    let address = replying(HELLO).await;
    let name = format!("http://svc.test:{}", address.port());
    let names = Names::new([&[LOCAL], &[UNLISTED]]);
    let outbound = resolving(grant(&[&name, &format!("http://{address}")]), names.clone());
    assert_eq!(failure(&outbound, &name).await, "ok");
    assert_eq!(names.asked(), 1, "a second lookup could have another answer");
    assert_eq!(failure(&outbound, &name).await, "DestinationIpProhibited");
    assert_eq!(names.asked(), 2);
}

#[tokio::test]
async fn of_mixed_addresses_only_the_allowed_are_tried() {
    let address = replying(HELLO).await;
    let strays = Arc::new(AtomicUsize::new(0));
    let counted = strays.clone();
    listen(UNLISTED, address.port(), move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async {}
    })
    .await;
    let name = format!("http://svc.test:{}", address.port());
    let mixed = Names::new([&[UNLISTED, Ipv4Addr::new(10, 0, 0, 1), LOCAL, UNLISTED]]);
    let outbound = resolving(grant(&[&name, &format!("http://{address}")]), mixed);
    assert_eq!(failure(&outbound, &name).await, "ok");
    assert_eq!(strays.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    let address = replying(HELLO).await;
    let port = address.port();
    let name = format!("http://svc.test:{port}");
    let both = grant(&[&name, &format!("http://{UNLISTED}:{port}"), &format!("http://{address}")]);
    let outbound = resolving(both.clone(), Names::new([&[UNLISTED, LOCAL]]));
    assert_eq!(failure(&outbound, &name).await, "ok");
    let outbound = resolving(both, Names::new([&[UNLISTED]]));
    assert_eq!(failure(&outbound, &name).await, "ConnectionRefused");
}

#[tokio::test]
async fn a_name_without_addresses_is_a_dns_error() {
    let expected = "DnsError { rcode: Some(\"address not available\"), info_code: None }";
    for names in [Names::new([]), Names::new([&[]])] {
        assert_eq!(failure(&resolving(grant(&["*"]), names), "http://svc.test/").await, expected);
    }
}

#[tokio::test]
async fn the_systems_resolver_is_checked_like_any_other() {
    let address = replying(HELLO).await;
    // The one name that every system knows without asking the network.
    let name = format!("http://localhost:{}/", address.port());
    assert_eq!(failure(&allow(&["*"]), &name).await, "DestinationIpProhibited");
    let mut everything = grant(&["*"]);
    everything.any_address = true;
    assert_eq!(failure(&Outbound::new(everything).unwrap(), &name).await, "ok");
}

#[rustfmt::skip] // a table
#[test]
fn every_class_of_special_address_is_refused() {
    for address in [
        "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255",
        "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.0",
        "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
        "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255",
        "240.0.0.1", "255.255.255.255",
        // IPv6
        "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8", "100::1", "2001::7f00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1",
        "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "4000::1",
        "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    ] {
        assert!(!address_allowed(address.parse().unwrap()), "{address} is allowed");
    }
    for address in [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.1", "168.63.129.15", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0",
        "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "223.255.255.255",
        "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001::1", "3ffe::1",
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    ] {
        assert!(address_allowed(address.parse().unwrap()), "{address} is refused");
    }
}

fn v4_within(network: &str, prefix: u32) -> impl Strategy<Value = Ipv4Addr> {
    let network: Ipv4Addr = network.parse().unwrap();
    any::<u32>().prop_map(move |bits| {
        let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
        Ipv4Addr::from_bits(network.to_bits() & !host | bits & host)
    })
}

fn v6_within(network: &str, prefix: u32) -> impl Strategy<Value = Ipv6Addr> {
    let network: Ipv6Addr = network.parse().unwrap();
    any::<u128>().prop_map(move |bits| {
        let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
        Ipv6Addr::from_bits(network.to_bits() & !host | bits & host)
    })
}

#[rustfmt::skip] // a table
fn forbidden_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        v4_within("0.0.0.0", 8), v4_within("10.0.0.0", 8), v4_within("100.64.0.0", 10), v4_within("127.0.0.0", 8),
        v4_within("169.254.0.0", 16), v4_within("172.16.0.0", 12), v4_within("192.0.0.0", 24),
        v4_within("192.0.2.0", 24), v4_within("192.168.0.0", 16), v4_within("198.18.0.0", 15),
        v4_within("198.51.100.0", 24), v4_within("203.0.113.0", 24), v4_within("224.0.0.0", 4),
        v4_within("240.0.0.0", 4),
    ]
}

#[rustfmt::skip] // a table
fn forbidden_v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        v6_within("::", 96), v6_within("64:ff9b:1::", 48), v6_within("100::", 64), v6_within("2001::", 32),
        v6_within("2001:db8::", 32), v6_within("2002::", 16), v6_within("3fff::", 20), v6_within("fc00::", 7),
        v6_within("fe80::", 10), v6_within("fec0::", 10), v6_within("ff00::", 8),
    ]
}

/// The ways in which IPv6 holds an IPv4 address: mapped, translated, compatible, NAT64, 6to4, and both ends of Teredo.
fn embeddings(address: Ipv4Addr) -> [Ipv6Addr; 7] {
    let bits = u128::from(address.to_bits());
    let under = |prefix: &str| prefix.parse::<Ipv6Addr>().unwrap().to_bits();
    [
        under("::ffff:0:0") | bits,
        under("::ffff:0:0:0") | bits,
        bits,
        under("64:ff9b::") | bits,
        under("2002::") | bits << 80,
        under("2001::") | bits << 64,
        under("2001::") | u128::from(!address.to_bits()),
    ]
    .map(Ipv6Addr::from_bits)
}

proptest! {
    #[test]
    fn no_forbidden_ipv4_address_is_ever_allowed(address in forbidden_v4()) {
        prop_assert!(!address_allowed(address.into()));
    }

    #[test]
    fn no_ipv6_spelling_of_a_forbidden_ipv4_address_is_ever_allowed(address in forbidden_v4()) {
        for spelling in embeddings(address) {
            prop_assert!(!address_allowed(spelling.into()), "{} for {}", spelling, address);
        }
    }

    #[test]
    fn no_forbidden_ipv6_address_is_ever_allowed(address in forbidden_v6()) {
        prop_assert!(!address_allowed(address.into()));
    }

    /// The standard library knows fewer classes; what it calls special must never pass.
    #[test]
    fn nothing_the_standard_library_calls_special_is_ever_allowed(v4 in any::<u32>(), v6 in any::<u128>()) {
        let v4 = Ipv4Addr::from_bits(v4);
        let special = v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
        prop_assert!(!(special && address_allowed(v4.into())), "{}", v4);
        let v6 = Ipv6Addr::from_bits(v6);
        let special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local()
            || v6.is_unicast_link_local();
        prop_assert!(!(special && address_allowed(v6.into())), "{}", v6);
    }

    #[test]
    fn no_text_makes_the_grant_parser_panic(text in ".{0,40}", tail in "[a-z0-9.:@/\\[\\]%*-]{0,20}") {
        _ = Outbound::new(grant(&[&text, &format!("http://{tail}"), &format!("https://[{tail}]")]));
    }
}
