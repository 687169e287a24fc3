//! Streaming with memory-mapped buffers. All that is unsafe about cameras is here.
//!
//! The crate `linuxvideo` negotiates formats, but hides a buffer's time stamp and number and copies nothing
//! out of its callback; so the five streaming calls are made here (kernel documentation, "Streaming I/O
//! (Memory Mapping)").

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::ioctl::{Setter, Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::frame::Lender;
use crate::units::Timestamp;

/// Asked of the driver: one being filled, one waiting there, and one each for the mailbox, the capture and the
/// recognition thread, and one to spare.
const BUFFERS: u32 = 6;

const VIDEO_CAPTURE: u32 = 1;
const MEMORY_MMAP: u32 = 1;
const FLAG_ERROR: u32 = 0x0040;
const FLAG_TIMESTAMP_MASK: u32 = 0xe000;
const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

/// `struct v4l2_buffer` of 64-bit kernels, with `m.offset`.
#[repr(C)]
#[derive(Default)]
struct RawBuffer {
    index: u32,
    kind: u32,
    bytesused: u32,
    flags: u32,
    field: u32,
    timestamp_s: i64,
    timestamp_us: i64,
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    offset: u64,
    length: u32,
    reserved: [u32; 2],
}

const _: () = assert!(size_of::<RequestBuffers>() == 20 && size_of::<RawBuffer>() == 88);

const REQBUFS: u32 = opcode::read_write::<RequestBuffers>(b'V', 8);
const QUERYBUF: u32 = opcode::read_write::<RawBuffer>(b'V', 9);
const QBUF: u32 = opcode::read_write::<RawBuffer>(b'V', 15);
const DQBUF: u32 = opcode::read_write::<RawBuffer>(b'V', 17);
const STREAMON: u32 = opcode::write::<i32>(b'V', 18);
const STREAMOFF: u32 = opcode::write::<i32>(b'V', 19);

/// The driver's buffers in our memory, and the file they belong to.
struct Mapped {
    file: File,
    buffers: Vec<(*mut u8, usize)>,
}

#[allow(unsafe_code)]
// SAFETY: the pointers are to shared mappings that live as long as this; they are only read, and only
// while the driver has handed the buffer over (between DQBUF and QBUF).
unsafe impl Send for Mapped {}
#[allow(unsafe_code)]
// SAFETY: as above; all calls on the file go through the kernel, which serialises them.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn buffer(&self, index: u32) -> RawBuffer {
        RawBuffer {
            index,
            kind: VIDEO_CAPTURE,
            memory: MEMORY_MMAP,
            ..RawBuffer::default()
        }
    }

    fn queue(&self, index: u32) -> io::Result<()> {
        let mut buffer = self.buffer(index);
        #[allow(unsafe_code)]
        // SAFETY: VIDIOC_QBUF takes a `v4l2_buffer`, which `RawBuffer` is.
        unsafe {
            ioctl(self.fd(), Updater::<QBUF, _>::new(&mut buffer))?;
        }
        Ok(())
    }

    fn switch(&self, on: bool) -> io::Result<()> {
        let kind = VIDEO_CAPTURE as i32;
        #[allow(unsafe_code)]
        // SAFETY: STREAMON and STREAMOFF take a pointer to an `int`.
        unsafe {
            if on {
                ioctl(self.fd(), Setter::<STREAMON, _>::new(kind))?;
            } else {
                ioctl(self.fd(), Setter::<STREAMOFF, _>::new(kind))?;
            }
        }
        Ok(())
    }
}

impl Lender for Mapped {
    fn bytes(&self, buffer: u32) -> &[u8] {
        let Some((start, len)) = self.buffers.get(buffer as usize) else {
            return &[];
        };
        #[allow(unsafe_code)]
        // SAFETY: the mapping has `len` bytes and lives as long as `self`; the driver does not write into
        // a dequeued buffer, and the frame that reads it gives it back only when it is done.
        unsafe {
            std::slice::from_raw_parts(*start, *len)
        }
    }

    fn give_back(&self, buffer: u32) {
        // Fails once the camera is gone or the stream was stopped: nothing is lost then.
        let _ = self.queue(buffer);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        for (start, len) in &self.buffers {
            #[allow(unsafe_code)]
            // SAFETY: mapped by `Stream::start` with this length, and nobody holds `self` any more.
            unsafe {
                let _ = munmap(start.cast(), *len);
            }
        }
    }
}

/// A filled buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    pub index: u32,
    pub bytes: usize,
    /// The driver says that its content is damaged.
    pub damaged: bool,
    /// By the monotonic clock; `None` where the driver uses another.
    pub captured: Option<Timestamp>,
    /// Counts the pictures of the camera, those it left out included.
    pub sequence: u32,
}

/// A camera that streams.
pub(super) struct Stream {
    mapped: Arc<Mapped>,
}

impl Stream {
    /// Starts streaming on a file whose format is set. The file must not block.
    pub(super) fn start(file: File) -> io::Result<Self> {
        let mut request = RequestBuffers {
            count: BUFFERS,
            kind: VIDEO_CAPTURE,
            memory: MEMORY_MMAP,
            ..RequestBuffers::default()
        };
        #[allow(unsafe_code)]
        // SAFETY: VIDIOC_REQBUFS takes a `v4l2_requestbuffers`, which `RequestBuffers` is.
        unsafe {
            ioctl(file.as_fd(), Updater::<REQBUFS, _>::new(&mut request))?;
        }
        let mut mapped = Mapped {
            file,
            buffers: Vec::with_capacity(request.count as usize),
        };
        for index in 0..request.count {
            let mut buffer = mapped.buffer(index);
            #[allow(unsafe_code)]
            // SAFETY: VIDIOC_QUERYBUF takes a `v4l2_buffer`; the kernel gives offset and length of a
            // mapping that no Rust object lives in.
            let start = unsafe {
                ioctl(mapped.fd(), Updater::<QUERYBUF, _>::new(&mut buffer))?;
                mmap(
                    std::ptr::null_mut(),
                    buffer.length as usize,
                    ProtFlags::READ,
                    MapFlags::SHARED,
                    mapped.fd(),
                    // The union's first word; the rest is of no meaning for mapped memory.
                    buffer.offset & 0xffff_ffff,
                )?
            };
            mapped.buffers.push((start.cast(), buffer.length as usize));
        }
        for index in 0..request.count {
            mapped.queue(index)?;
        }
        mapped.switch(true)?;
        Ok(Self {
            mapped: Arc::new(mapped),
        })
    }

    /// Waits for a buffer, at most `patience`; `None` when none came.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<Option<Filled>> {
        let mut ready = [PollFd::new(&self.mapped.file, PollFlags::IN)];
        let patience = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: patience.subsec_nanos().into(),
        };
        match poll(&mut ready, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let mut buffer = self.mapped.buffer(0);
        #[allow(unsafe_code)]
        // SAFETY: VIDIOC_DQBUF takes a `v4l2_buffer`, which `RawBuffer` is.
        let taken = unsafe { ioctl(self.mapped.fd(), Updater::<DQBUF, _>::new(&mut buffer)) };
        match taken {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        let monotonic = buffer.flags & FLAG_TIMESTAMP_MASK == FLAG_TIMESTAMP_MONOTONIC;
        let nanos = buffer
            .timestamp_s
            .saturating_mul(1_000_000_000)
            .saturating_add(buffer.timestamp_us.saturating_mul(1000));
        Ok(Some(Filled {
            index: buffer.index,
            bytes: buffer.bytesused as usize,
            damaged: buffer.flags & FLAG_ERROR != 0,
            captured: monotonic.then(|| Timestamp::from_nanos(nanos)),
            sequence: buffer.sequence,
        }))
    }

    /// Who lends the buffers.
    pub(super) fn lender(&self) -> Arc<dyn Lender> {
        Arc::clone(&self.mapped) as Arc<dyn Lender>
    }

    /// The bytes of a filled buffer.
    pub(super) fn bytes(&self, index: u32) -> &[u8] {
        self.mapped.bytes(index)
    }

    /// Hands a buffer back to be filled.
    pub(super) fn give_back(&self, index: u32) {
        self.mapped.give_back(index);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Frames may still hold buffers; the mapping lives on with them.
        let _ = self.mapped.switch(false);
    }
}
