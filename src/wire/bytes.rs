//! Bounded reading from and writing to byte slices. Network byte order.

use byteorder::{BigEndian, ByteOrder};

/// The input ended before the value did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

/// The output has no room for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Reads from a slice. A read that fails takes nothing.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> ByteReader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// Starts at `position`; one past the end is the end.
    pub fn at(bytes: &'a [u8], position: usize) -> Self {
        ByteReader { bytes, position: position.min(bytes.len()) }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// What has not been read, without reading it.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// The whole slice, read or not.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes read since the start of the slice.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let taken = self.rest().get(..count).ok_or(Truncated)?;
        self.position += count;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// 16 bits, unsigned.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.take(2).map(BigEndian::read_u16)
    }

    /// 32 bits, unsigned.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.take(4).map(BigEndian::read_u32)
    }

    /// An IEEE 754 double.
    pub fn f64(&mut self) -> Result<f64, Truncated> {
        self.take(8).map(BigEndian::read_f64)
    }
}

/// Writes into a slice. A write that fails writes nothing.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Writer { bytes, len: 0 }
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that still fit.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// What has been written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Takes back what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes as they are.
    pub fn put_slice(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// One byte.
    pub fn put_u8(&mut self, value: u8) -> Result<(), Full> {
        self.put_slice(&[value])
    }

    /// 16 bits.
    pub fn put_u16(&mut self, value: u16) -> Result<(), Full> {
        BigEndian::write_u16(self.room(2)?, value);
        Ok(())
    }

    /// 32 bits.
    pub fn put_u32(&mut self, value: u32) -> Result<(), Full> {
        BigEndian::write_u32(self.room(4)?, value);
        Ok(())
    }

    /// 32 bits in the place of those that were written at `position`.
    pub fn set_u32(&mut self, position: usize, value: u32) {
        BigEndian::write_u32(&mut self.bytes[..self.len][position..position + 4], value);
    }

    /// An IEEE 754 double.
    pub fn put_f64(&mut self, value: f64) -> Result<(), Full> {
        BigEndian::write_f64(self.room(8)?, value);
        Ok(())
    }

    fn room(&mut self, count: usize) -> Result<&mut [u8], Full> {
        let place = self.bytes[self.len..].get_mut(..count).ok_or(Full)?;
        self.len += count;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_is_written_and_read_in_its_byte_order() {
        let mut buffer = [0; 15];
        let mut writer = Writer::new(&mut buffer);
        writer.put_u8(1).unwrap();
        writer.put_u16(0x0203).unwrap();
        writer.put_u32(0x0708_090A).unwrap();
        writer.put_f64(1.0).unwrap();
        assert_eq!(writer.written(), b"\x01\x02\x03\x07\x08\x09\x0A\x3F\xF0\0\0\0\0\0\0");

        let mut reader = ByteReader::new(&buffer);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0708_090A));
        assert_eq!(reader.f64(), Ok(1.0));
        assert_eq!((reader.position(), reader.remaining()), (15, 0));
    }

    #[test]
    fn a_read_that_fails_takes_nothing() {
        let mut reader = ByteReader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(Truncated));
        assert_eq!(reader.take(usize::MAX), Err(Truncated));
        assert_eq!(reader.rest(), [1, 2, 3]);
    }

    #[test]
    fn a_write_that_fails_writes_nothing() {
        let mut buffer = [0xEE; 3];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(writer.put_u32(0), Err(Full));
        assert_eq!(writer.put_slice(&[0; 4]), Err(Full));
        assert!(writer.is_empty());
        assert_eq!(writer.remaining(), 3);
        assert_eq!(buffer, [0xEE; 3]);
    }
}
