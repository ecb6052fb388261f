//! One address for each pod, on the loopback interface of the network that the pods share.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Refusal;
use crate::Error;

/// The first two bytes of [`crate::network::RANGE`].
const RANGE: [u8; 2] = [198, 18];

/// Hands out addresses. None comes back before 64516 others were used, so a late connection meets nobody new.
#[derive(Debug, Default)]
pub(super) struct Addresses(AtomicU32);

/// A pod's address, taken off the interface when dropped.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) ip: Ipv4Addr,
}

impl Addresses {
    /// The next address.
    pub(super) fn take(&self) -> Result<Address, Refusal> {
        let ip = nth(self.0.fetch_add(1, Ordering::Relaxed));
        let program = Path::new("ip");
        let output = ip_address("add", ip).output().map_err(Error::file("starting", program))?;
        if output.status.success() {
            return Ok(Address { ip });
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(Refusal::Create(format!("no address for the pod: {why}")))
    }
}

/// The address in the range, with a third and fourth byte between 1 and 254: the node's own has a zero there.
fn nth(number: u32) -> Ipv4Addr {
    let byte = |value: u32| u8::try_from(value % 254 + 1).unwrap_or(1);
    Ipv4Addr::new(RANGE[0], RANGE[1], byte(number / 254), byte(number))
}

fn ip_address(verb: &str, ip: Ipv4Addr) -> Command {
    let mut command = Command::new("ip");
    command.args(["-4", "address", verb, &format!("{ip}/32"), "dev", "lo"]).stdin(Stdio::null());
    command
}

impl Drop for Address {
    fn drop(&mut self) {
        ip_address("delete", self.ip).output().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_an_address_that_ends_neither_in_0_nor_in_255() {
        for number in [0, 253, 254, 64_515, 64_516, u32::MAX] {
            let [.., third, fourth] = nth(number).octets();
            assert!((1..=254).contains(&third) && (1..=254).contains(&fourth), "{number}");
        }
        assert_ne!(nth(253), nth(254));
    }
}
