//! AUTOSAR E2E Profile 1 (AUTOSAR_PRS_E2EProtocol, section 6.3): CRC-8 in byte 0 over the data ID (low
//! byte, high byte) and bytes 1 on, a counter of 0 to 14 in the low nibble of byte 1.

use crc::{Algorithm, Crc};

/// SAE J1850 polynomial; the profile starts from 0 and inverts nothing.
const CRC_8: Crc<u8> = Crc::<u8>::new(&Algorithm {
    width: 8,
    poly: 0x1d,
    init: 0x00,
    refin: false,
    refout: false,
    xorout: 0x00,
    check: 0x37,
    residue: 0x00,
});

/// The counter's last value; the next is 0 again.
pub const COUNTER_MAX: u8 = 14;

/// Writes counter and CRC into a message; `counter` goes on by one.
pub fn protect(data: &mut [u8; 8], data_id: u16, counter: &mut u8) {
    data[1] = (data[1] & 0xf0) | (*counter & 0x0f);
    *counter = if *counter >= COUNTER_MAX {
        0
    } else {
        *counter + 1
    };
    data[0] = crc(data, data_id);
}

/// Whether the CRC of a message fits.
#[cfg(test)]
fn is_intact(data: &[u8; 8], data_id: u16) -> bool {
    data[0] == crc(data, data_id)
}

fn crc(data: &[u8; 8], data_id: u16) -> u8 {
    let mut digest = CRC_8.digest();
    digest.update(&data_id.to_le_bytes());
    digest.update(&data[1..]);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_another_id_is_noticed() {
        let mut data = [0, 0x20, 1, 2, 3, 4, 5, 6];
        protect(&mut data, 0x06a0, &mut 3);
        assert!(is_intact(&data, 0x06a0) && !is_intact(&data, 0x06a1));
        assert_eq!(data[1], 0x23);
        for bit in 0..64 {
            let mut damaged = data;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(&damaged, 0x06a0), "bit {bit}");
        }
    }

    /// As the Python package autosar-e2e 1.0.0 protects the same bytes.
    #[test]
    fn the_crc_is_that_of_another_implementation() {
        let mut data = [0, 0x20, 1, 2, 3, 4, 5, 6];
        protect(&mut data, 0x06a0, &mut 0);
        assert_eq!(data, [0x7d, 0x20, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn the_counter_runs_from_0_to_14() {
        let (mut data, mut counter) = ([0; 8], 0);
        let seen: Vec<u8> = (0..16)
            .map(|_| {
                protect(&mut data, 1, &mut counter);
                data[1] & 0x0f
            })
            .collect();
        assert_eq!(seen[..15], (0..15).collect::<Vec<u8>>());
        assert_eq!(seen[15], 0);
    }
}
