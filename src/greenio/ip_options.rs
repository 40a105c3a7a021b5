//! Options of IP sockets: hops, service classes, groups. The manual pages `ip(7)` and `ipv6(7)`
//! have the details.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::GreenSocket;

/// # Options of IP
impl GreenSocket {
    /// How many hops an IPv4 packet may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.sock().set_ttl_v4(hops)
    }

    /// The setting of [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.sock().ttl_v4()
    }

    /// The service class of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_tos(&self, class: u32) -> io::Result<()> {
        self.sock().set_tos_v4(class)
    }

    /// The setting of [`set_tos`](Self::set_tos).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn tos(&self) -> io::Result<u32> {
        self.sock().tos_v4()
    }

    /// How many hops an IPv6 packet may take (`IPV6_UNICAST_HOPS`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_unicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.sock().set_unicast_hops_v6(hops)
    }

    /// The setting of [`set_unicast_hops_v6`](Self::set_unicast_hops_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn unicast_hops_v6(&self) -> io::Result<u32> {
        self.sock().unicast_hops_v6()
    }

    /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.sock().set_tclass_v6(class)
    }

    /// The setting of [`set_tclass_v6`](Self::set_tclass_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.sock().tclass_v6()
    }

    /// Keeps an IPv6 socket from carrying IPv4 as well (`IPV6_V6ONLY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_only_v6(&self, on: bool) -> io::Result<()> {
        self.sock().set_only_v6(on)
    }

    /// The setting of [`set_only_v6`](Self::set_only_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn only_v6(&self) -> io::Result<bool> {
        self.sock().only_v6()
    }
}

/// # Multicast
impl GreenSocket {
    /// Joins a group on the interface that has the address `interface`; on one
    /// that the kernel picks, if that is unspecified (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.sock().join_multicast_v4(group, interface)
    }

    /// Leaves a group (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.sock().leave_multicast_v4(group, interface)
    }

    /// Joins a group on the interface with the index `interface`; on one that the
    /// kernel picks, if that is 0 (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.sock().join_multicast_v6(group, interface)
    }

    /// Leaves a group (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.sock().leave_multicast_v6(group, interface)
    }

    /// Whether this host hears what it sends to a group (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.sock().set_multicast_loop_v4(on)
    }

    /// The setting of [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.sock().multicast_loop_v4()
    }

    /// Whether this host hears what it sends to a group (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.sock().set_multicast_loop_v6(on)
    }

    /// The setting of [`set_multicast_loop_v6`](Self::set_multicast_loop_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.sock().multicast_loop_v6()
    }

    /// How many hops a packet to a group may take (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        self.sock().set_multicast_ttl_v4(hops)
    }

    /// The setting of [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.sock().multicast_ttl_v4()
    }

    /// How many hops a packet to a group may take (`IPV6_MULTICAST_HOPS`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        self.sock().set_multicast_hops_v6(hops)
    }

    /// The setting of [`set_multicast_hops_v6`](Self::set_multicast_hops_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        self.sock().multicast_hops_v6()
    }

    /// Sends to groups through the interface that has this address
    /// (`IP_MULTICAST_IF`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_interface_v4(&self, interface: &Ipv4Addr) -> io::Result<()> {
        self.sock().set_multicast_if_v4(interface)
    }

    /// The setting of
    /// [`set_multicast_interface_v4`](Self::set_multicast_interface_v4).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_interface_v4(&self) -> io::Result<Ipv4Addr> {
        self.sock().multicast_if_v4()
    }

    /// Sends to groups through the interface with this index
    /// (`IPV6_MULTICAST_IF`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        self.sock().set_multicast_if_v6(interface)
    }

    /// The setting of
    /// [`set_multicast_interface_v6`](Self::set_multicast_interface_v6).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn multicast_interface_v6(&self) -> io::Result<u32> {
        self.sock().multicast_if_v6()
    }
}
