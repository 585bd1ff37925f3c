//! Growing a card's last partition and the ext4 in it, while they are in use.
//!
//! An image is as small as it can be; the card that it is written to is not. Both steps do nothing when there is nothing
//! to gain, so they run at each start, and a plug that is pulled between them costs nothing: the next start goes on. The
//! partition table is one sector, which a card writes whole or not at all, and resizing goes through ext4's journal.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Result, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

/// `EXT4_IOC_RESIZE_FS` of Linux's fs/ext4/ext4.h: `_IOW('f', 16, __u64)`.
const EXT4_IOC_RESIZE_FS: u32 = 0x4008_6610;
/// `BLKPG` and `BLKPG_RESIZE_PARTITION` of Linux's include/uapi/linux/blkpg.h.
const BLKPG: u32 = 0x1269;
const BLKPG_RESIZE_PARTITION: i32 = 3;

const SECTOR: u64 = 512;
/// Partitions end on a boundary of 1 MiB, as every tool leaves them.
const BOUNDARY_SECTORS: u64 = 2048;
/// Where the four entries of a master boot record begin, and how long each is.
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
/// Gains below this many blocks are not worth a resize; ext4 cannot always use them.
const BLOCKS_WORTH_IT: u64 = 256;

/// `struct blkpg_partition`.
#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    number: i32,
    devname: [u8; 64],
    volname: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    op: i32,
    flags: i32,
    length: i32,
    data: *mut BlkpgPartition,
}

/// Grows `partition`, like `/dev/mmcblk0p2`, to the end of its card, and tells the kernel. Returns what was done.
///
/// # Errors
///
/// A partition table that is not the one the kernel goes by; and the operating system's own.
pub fn table(partition: &str) -> Result<Option<String>> {
    let name = name(partition);
    // In sysfs a partition is a directory of its disk.
    let disk = std::fs::canonicalize(format!("/sys/class/block/{name}/.."))?;
    let disk = name_of(&disk);
    let (start, size, sectors) = (number(name, "start")?, number(name, "size")?, number(&disk, "size")?);
    let index = number(name, "partition")? as usize;
    let Some(wanted) = wanted_sectors(start, size, sectors) else { return Ok(None) };
    let mut device = OpenOptions::new().read(true).write(true).open(format!("/dev/{disk}"))?;
    let mut record = [0; SECTOR as usize];
    device.read_exact(&mut record)?;
    change_entry(&mut record, index, start, size, wanted)?;
    device.seek(SeekFrom::Start(0))?;
    device.write_all(&record)?;
    device.sync_all()?;
    let mut resized = BlkpgPartition {
        start: (start * SECTOR) as i64,
        length: (wanted * SECTOR) as i64,
        number: index as i32,
        devname: [0; 64],
        volname: [0; 64],
    };
    let mut argument = BlkpgArgument {
        op: BLKPG_RESIZE_PARTITION,
        flags: 0,
        length: size_of::<BlkpgPartition>() as i32,
        data: &mut resized,
    };
    // SAFETY: BLKPG reads a blkpg_ioctl_arg and the blkpg_partition that it points to; both live until it returns.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), BLKPG as _, &mut argument) };
    if result != 0 {
        return Err(Error::last_os_error());
    }
    let mib = |sectors: u64| (sectors * SECTOR) >> 20;
    Ok(Some(format!("{partition} {} -> {} MiB", mib(size), mib(wanted))))
}

/// Grows the ext4 of `partition`, which is mounted at `directory`, to the size of the partition. Returns what was done.
///
/// # Errors
///
/// The operating system's own.
pub fn file_system(partition: &str, directory: &str) -> Result<Option<String>> {
    let mut device = File::open(partition)?;
    let mut superblock = [0; 1024];
    device.seek(SeekFrom::Start(1024))?;
    device.read_exact(&mut superblock)?;
    // s_blocks_count_lo and s_log_block_size: the image's file system has fewer than 2^32 blocks.
    let (blocks, block_bytes) = (u64::from(le32(&superblock, 4)), 1024 << le32(&superblock, 24));
    let mut wanted: u64 = number(name(partition), "size")? * SECTOR / block_bytes;
    if wanted <= blocks + BLOCKS_WORTH_IT {
        return Ok(None);
    }
    let mounted = File::open(directory)?;
    // SAFETY: EXT4_IOC_RESIZE_FS reads one u64, which lives until it returns.
    let result = unsafe { libc::ioctl(mounted.as_raw_fd(), EXT4_IOC_RESIZE_FS as _, &mut wanted) };
    if result != 0 {
        return Err(Error::last_os_error());
    }
    Ok(Some(format!("{directory} {blocks} -> {wanted} blocks of {block_bytes}")))
}

/// The sectors that a partition at `start` with `size` can have on a disk of `disk` sectors; `None` when that is no more
/// than it has.
fn wanted_sectors(start: u64, size: u64, disk: u64) -> Option<u64> {
    // An entry counts sectors in 32 bits: 2 TiB.
    let end = disk.min(u64::from(u32::MAX)) / BOUNDARY_SECTORS * BOUNDARY_SECTORS;
    let wanted = end.checked_sub(start)?;
    (wanted >= size + BOUNDARY_SECTORS).then_some(wanted)
}

/// Puts `wanted` sectors into entry `index`, which counts from 1, if the entry says `start` and `size`.
fn change_entry(record: &mut [u8; SECTOR as usize], index: usize, start: u64, size: u64, wanted: u64) -> Result<()> {
    let refused = || Error::other("the partition table is not the image's, and is left as it is");
    if !(1..=4).contains(&index) || record[SECTOR as usize - 2..] != [0x55, 0xaa] {
        return Err(refused());
    }
    let at = |index: usize| ENTRIES + ENTRY * (index - 1);
    let entry = at(index);
    let known = (u64::from(le32(record, entry + 8)), u64::from(le32(record, entry + 12))) == (start, size);
    // Another partition behind it would be overwritten.
    let last = (1..=4).all(|other| u64::from(le32(record, at(other) + 8)) <= start);
    let wanted = u32::try_from(wanted).ok().filter(|_| known && last).ok_or_else(refused)?;
    record[entry + 12..entry + 16].copy_from_slice(&wanted.to_le_bytes());
    Ok(())
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn name(device: &str) -> &str {
    device.trim_start_matches("/dev/")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A number that sysfs says of a block device; sizes are in sectors of 512 bytes.
fn number(device: &str, what: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/sys/class/block/{device}/{what}"))?;
    text.trim().parse().map_err(Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(entries: &[(u32, u32)]) -> [u8; 512] {
        let mut record = [0; 512];
        record[510..].copy_from_slice(&[0x55, 0xaa]);
        for (index, (start, size)) in entries.iter().enumerate() {
            let at = ENTRIES + ENTRY * index;
            record[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            record[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
        }
        record
    }

    #[test]
    fn a_partition_grows_to_the_last_boundary_of_its_disk_and_only_when_that_is_more() {
        assert_eq!(wanted_sectors(4096, 2048, 10_000), Some(8192 - 4096));
        assert_eq!(wanted_sectors(4096, 4096, 10_000), None);
        assert_eq!(wanted_sectors(4096, 8192, 4096), None, "a disk that ends before its partition");
        assert_eq!(wanted_sectors(4096, 4096, u64::MAX), Some(u64::from(u32::MAX) / 2048 * 2048 - 4096));
    }

    #[test]
    fn only_the_size_of_the_last_entry_changes() {
        let before = record(&[(2048, 4096), (6144, 2048)]);
        let mut after = before;
        change_entry(&mut after, 2, 6144, 2048, 0x0102_0304).unwrap();
        assert_eq!(after[474..478], [4, 3, 2, 1]);
        after[474..478].copy_from_slice(&before[474..478]);
        assert_eq!(after, before);
    }

    #[test]
    fn a_table_that_is_not_as_the_kernel_sees_it_is_left_alone() {
        let table = record(&[(2048, 4096), (6144, 2048), (8192, 2048)]);
        for (index, start, size) in [(2, 6144, 4096), (2, 4096, 2048), (0, 0, 0), (5, 0, 0), (2, 6144, 2048)] {
            let mut changed = table;
            assert!(change_entry(&mut changed, index, start, size, 65_536).is_err(), "{index} {start} {size}");
            assert_eq!(changed, table);
        }
        let mut unsigned = record(&[(2048, 4096)]);
        unsigned[511] = 0;
        assert!(change_entry(&mut unsigned, 1, 2048, 4096, 65_536).is_err());
    }
}
