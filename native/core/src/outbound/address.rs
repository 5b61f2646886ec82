//! Which addresses are public, so that a guest may reach them without the operator naming them.
//!
//! The tables follow the IANA special-purpose registries (RFC 6890 and its updates). IPv4 refuses what is listed; IPv6
//! refuses everything but global unicast, and from that what is listed. When in doubt an address is refused: nothing a
//! web service lives on is lost by it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[rustfmt::skip] // a table
const V4_REFUSED: [(Ipv4Addr, u32); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network; 0.0.0.0 reaches loopback on Linux
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT; 100.100.100.200 is Alibaba's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's WireServer: a public number that only the host answers
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; 169.254.169.254 is the metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; 192.0.0.192 is Oracle's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, withdrawn
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(233, 252, 0, 0), 24),   // documentation, within multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved
    (Ipv4Addr::BROADCAST, 32),             // broadcast, within reserved
];

/// Loopback, unique-local, link-local, site-local, multicast, discard, segment routing, local NAT64 and IPv4-compatible
/// addresses all lie outside this.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

#[rustfmt::skip] // a table
const V6_REFUSED: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo (holds IPv4), benchmarking, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 (holds IPv4), withdrawn
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Spellings of an IPv4 address that are still in use; the address they hold decides.
#[rustfmt::skip] // a table
const V6_HOLDING_V4: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),       // IPv4-mapped
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),    // NAT64
];

/// Is this a public address, one that needs no listing?
pub fn address_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => v4_allowed(address),
        IpAddr::V6(address) => v6_allowed(address),
    }
}

fn v4_allowed(address: Ipv4Addr) -> bool {
    !V4_REFUSED.iter().any(|range| in_v4(address, *range))
}

fn v6_allowed(address: Ipv6Addr) -> bool {
    if V6_HOLDING_V4.iter().any(|range| in_v6(address, *range)) {
        return v4_allowed(Ipv4Addr::from_bits(address.to_bits() as u32));
    }
    in_v6(address, V6_GLOBAL) && !V6_REFUSED.iter().any(|range| in_v6(address, *range))
}

fn in_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0
}

fn in_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0
}
