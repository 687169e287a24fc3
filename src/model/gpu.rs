//! Which TensorRT and which GPU this machine has: asked of NVIDIA's own libraries, which need not be there.
//!
//! An engine works with the very TensorRT and kind of GPU that it was built with, so both are in its key.

use std::ffi::{CStr, c_char, c_int};

use libloading::{Library, Symbol};

/// By falling version; JetPack 6 has 10 or 8, JetPack 5 has 8.
const TENSORRT: [&str; 5] = [
    "libnvinfer.so.11",
    "libnvinfer.so.10",
    "libnvinfer.so.9",
    "libnvinfer.so.8",
    "libnvinfer.so",
];
const CUDA: &str = "libcuda.so.1";
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR`.
const CAPABILITY: [c_int; 2] = [75, 76];

/// What an engine is built for, besides the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The first GPU's name, e.g. `Orin`.
    pub name: String,
    /// Its compute capability, e.g. `8.7`.
    pub compute_capability: String,
    /// TensorRT's version, e.g. `10.3.0`.
    pub tensorrt: String,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoGpu(String);

impl Gpu {
    /// The first GPU of this machine.
    pub fn find() -> Result<Self, NoGpu> {
        let (name, compute_capability) = device()?;
        Ok(Self {
            name,
            compute_capability,
            tensorrt: tensorrt()?,
        })
    }
}

fn tensorrt() -> Result<String, NoGpu> {
    let mut why = String::new();
    for name in TENSORRT {
        let library = match open(name) {
            Ok(library) => library,
            Err(e) => {
                why = e;
                continue;
            }
        };
        // SAFETY: this is the function's signature since TensorRT 6; it takes nothing and reads a constant.
        #[allow(unsafe_code)]
        let version = unsafe {
            let get: Symbol<'_, unsafe extern "C" fn() -> c_int> = (library
                .get(b"getInferLibVersion\0"))
            .map_err(|e| NoGpu(format!("{name}: {e}")))?;
            get()
        };
        return Ok(version_in_words(version));
    }
    Err(NoGpu(format!(
        "TensorRT is not installed ({why}); install JetPack's `tensorrt` package, or NVIDIA's for this system"
    )))
}

/// Up to 8 and 9 the major version counts thousands, from 10 on ten thousands.
fn version_in_words(version: c_int) -> String {
    let (major, rest) = if version >= 100_000 {
        (version / 10_000, version % 10_000)
    } else {
        (version / 1000, version % 1000)
    };
    format!("{major}.{}.{}", rest / 100, rest % 100)
}

/// Name and compute capability of the first GPU.
#[allow(unsafe_code)]
fn device() -> Result<(String, String), NoGpu> {
    let library = open(CUDA).map_err(|e| {
        NoGpu(format!(
            "there is no NVIDIA GPU here, or its driver is not installed ({e})"
        ))
    })?;
    let failed = |what: &str, code: c_int| NoGpu(format!("{CUDA}: {what} failed with {code}"));
    let absent = |e: libloading::Error| NoGpu(format!("{CUDA}: {e}"));
    // SAFETY: the signatures are those of the CUDA driver interface, the same since its first version; every
    // pointer is to a live local of the type that is written, and `name` is as long as it is said to be.
    unsafe {
        type Init = unsafe extern "C" fn(u32) -> c_int;
        type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
        let init: Symbol<'_, Init> = library.get(b"cuInit\0").map_err(absent)?;
        let get: Symbol<'_, Get> = library.get(b"cuDeviceGet\0").map_err(absent)?;
        let get_name: Symbol<'_, Name> = library.get(b"cuDeviceGetName\0").map_err(absent)?;
        let attribute: Symbol<'_, Attribute> =
            library.get(b"cuDeviceGetAttribute\0").map_err(absent)?;
        let done = |what, code| {
            if code == 0 {
                Ok(())
            } else {
                Err(failed(what, code))
            }
        };
        done("cuInit", init(0))?;
        let mut first: c_int = 0;
        done("cuDeviceGet", get(&raw mut first, 0))?;
        let mut name = [0 as c_char; 256];
        let most = name.len() as c_int;
        done("cuDeviceGetName", get_name(name.as_mut_ptr(), most, first))?;
        let mut capability = [0 as c_int; 2];
        for (value, which) in capability.iter_mut().zip(CAPABILITY) {
            done("cuDeviceGetAttribute", attribute(value, which, first))?;
        }
        // Whatever was written, it ends within the buffer.
        name[name.len() - 1] = 0;
        let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
        Ok((name, format!("{}.{}", capability[0], capability[1])))
    }
}

fn open(name: &str) -> Result<Library, String> {
    // SAFETY: NVIDIA's libraries may be loaded at any time and by any thread; ONNX Runtime's providers load the
    // same ones.
    #[allow(unsafe_code)]
    unsafe { Library::new(name) }.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_tensorrt_are_read_before_and_after_ten() {
        assert_eq!(version_in_words(8601), "8.6.1");
        assert_eq!(version_in_words(100_300), "10.3.0");
        assert_eq!(version_in_words(110_102), "11.1.2");
    }
}
