//! Detached minisign signatures: `DE.safetensors.minisig` beside `DE.safetensors`.
//!
//! Signatures are prehashed Ed25519, the default of the `minisign` tool: either program checks what the
//! other signed.

use std::ffi::OsString;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context;
use minisign::{KeyPair, PublicKey, SecretKeyBox, SignatureBox};
use serde::Deserialize;

/// Whether a pack must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signatures {
    /// A pack without a valid signature of a trusted key is refused.
    Required,
    /// A pack needs no signature; a bad one beside it is still a refusal.
    #[default]
    Optional,
}

const UNTRUSTED: &str = "signature: by none of the trusted keys";

/// Whose packs are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    signatures: Signatures,
    keys: Vec<PublicKey>,
}

/// A pack's signature, after [`Trust::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Valid, by the trusted key with this base64 text; with its trusted comment.
    By {
        /// The public key.
        key: String,
        /// What the signer wrote.
        comment: String,
    },
    /// There is a signature, but no key to check it with.
    Unchecked,
    /// There is none.
    No,
}

impl Trust {
    /// `keys` are public keys as base64 text, the second line of a `.pub` file.
    pub fn new(signatures: Signatures, keys: &[String]) -> anyhow::Result<Self> {
        if signatures == Signatures::Required && keys.is_empty() {
            anyhow::bail!("signatures are required, but no public key is given to check them with");
        }
        let key = |text: &String| {
            PublicKey::from_base64(text.trim())
                .map_err(|e| anyhow::anyhow!("public key `{text}`: {e}"))
        };
        let keys = keys.iter().map(key).collect::<anyhow::Result<_>>()?;
        Ok(Self { signatures, keys })
    }

    /// The same keys, with a signature required.
    pub fn required(&self) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !self.keys.is_empty(),
            "no public key is given to check signatures with"
        );
        Ok(Self {
            signatures: Signatures::Required,
            keys: self.keys.clone(),
        })
    }

    /// Checks the signature beside `path` over `bytes`.
    pub fn check(&self, path: &Path, bytes: &[u8]) -> Result<Signed, String> {
        let beside = signature_path(path);
        let text = match std::fs::read_to_string(&beside) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(format!("{}: {e}", beside.display())),
        };
        self.check_text(text.as_deref(), bytes)
    }

    /// Who claims to have signed, before the signed bytes are there: nothing of it is proven.
    pub fn claim(&self, signature: &str) -> Result<Signed, String> {
        let signature = SignatureBox::from_string(signature);
        let signature = signature.map_err(|e| format!("signature: {e}"))?;
        let key = (self.keys.iter()).find(|key| key.keynum() == signature.keynum());
        Ok(Signed::By {
            key: key.ok_or(UNTRUSTED)?.to_base64(),
            comment: signature.trusted_comment().unwrap_or_default(),
        })
    }

    /// Checks a signature's text over `bytes`.
    pub fn check_text(&self, signature: Option<&str>, bytes: &[u8]) -> Result<Signed, String> {
        self.check_stream(signature, Cursor::new(bytes))
    }

    /// The same over what a file holds, which need not fit into memory.
    pub fn check_stream(
        &self,
        signature: Option<&str>,
        bytes: impl Read + Seek,
    ) -> Result<Signed, String> {
        let Some(text) = signature else {
            return match self.signatures {
                Signatures::Optional => Ok(Signed::No),
                Signatures::Required => {
                    Err("is not signed, and signatures are required".to_owned())
                }
            };
        };
        let signature = SignatureBox::from_string(text).map_err(|e| format!("signature: {e}"))?;
        if self.keys.is_empty() {
            return Ok(Signed::Unchecked);
        }
        let key = (self.keys.iter()).find(|key| key.keynum() == signature.keynum());
        let key = key.ok_or(UNTRUSTED)?;
        // Those of old would be read into memory whole before they are refused.
        if !signature.is_prehashed() {
            return Err("signature: legacy signatures are not accepted".to_owned());
        }
        minisign::verify(key, &signature, bytes, true, false, false)
            .map_err(|e| format!("signature: {e}"))?;
        Ok(Signed::By {
            key: key.to_base64(),
            comment: signature.trusted_comment().unwrap_or_default(),
        })
    }
}

impl Signed {
    /// When it was signed, in seconds since 1970, as the signer's trusted comment says: of two packs, the one
    /// signed later is the newer.
    pub fn signed_at(&self) -> Option<u64> {
        let Self::By { comment, .. } = self else {
            return None;
        };
        // The word that the `minisign` tool writes as well.
        let mut words = comment.split([' ', '\t']);
        words.find_map(|word| word.strip_prefix("timestamp:")?.parse().ok())
    }

    /// The same where it must be known; an error says what to do.
    pub fn dated(&self) -> Result<u64, &'static str> {
        self.signed_at().ok_or(
            "its signature does not say when it was made: sign it with `tsedge region sign` or minisign",
        )
    }
}

/// Where a pack's signature lies.
pub fn signature_path(pack: &Path) -> PathBuf {
    with_ending(pack, ".minisig")
}

/// The path with more at its end.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(ending);
    PathBuf::from(name)
}

/// A new pair of keys: the text of the public and of the secret file. Without a password the secret
/// file alone is enough to sign.
pub fn new_keys(password: Option<String>) -> anyhow::Result<(String, String)> {
    let pair = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    }?;
    let public = pair.pk.to_box()?.into_string();
    let secret = pair
        .sk
        .to_box(Some("tsedge pack signing key"))?
        .into_string();
    Ok((public, secret))
}

/// The signature's text over a pack's bytes, by the secret key in `key_file`.
pub fn sign(
    bytes: &[u8],
    key_file: &Path,
    password: Option<String>,
    comment: &str,
) -> anyhow::Result<String> {
    let read = || -> anyhow::Result<_> {
        let text = std::fs::read_to_string(key_file)?;
        let parsed = SecretKeyBox::from_string(&text)?;
        Ok(match password {
            None => parsed.into_unencrypted_secret_key().context(
                "if the key has a password, name the file that holds it with --password-file",
            )?,
            Some(password) => parsed.into_secret_key(Some(password))?,
        })
    };
    let key = read().with_context(|| key_file.display().to_string())?;
    let signature = minisign::sign(
        None,
        &key,
        Cursor::new(bytes),
        Some(comment),
        Some("tsedge pack signature"),
    )?;
    Ok(signature.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signed_bytes_by_a_trusted_key_pass() {
        let folder = tempfile::tempdir().unwrap();
        let pack = folder.path().join("DE.safetensors");
        let secret_file = folder.path().join("key");
        let (public, secret) = new_keys(None).unwrap();
        let key = public.lines().nth(1).unwrap().to_owned();
        std::fs::write(&secret_file, secret).unwrap();
        let other = new_keys(None).unwrap().0.lines().nth(1).unwrap().to_owned();
        let required = |key: &str| Trust::new(Signatures::Required, &[key.to_owned()]).unwrap();

        let unsigned = required(&key).check(&pack, b"pack").unwrap_err();
        assert_eq!(unsigned, "is not signed, and signatures are required");
        assert_eq!(Trust::default().check(&pack, b"pack"), Ok(Signed::No));

        let signature = sign(b"pack", &secret_file, None, "DE 1").unwrap();
        std::fs::write(signature_path(&pack), signature).unwrap();
        let signed = required(&key).check(&pack, b"pack").unwrap();
        assert_eq!(
            signed,
            Signed::By {
                key: key.clone(),
                comment: "DE 1".to_owned()
            }
        );
        assert!(
            required(&key)
                .check(&pack, b"puck")
                .unwrap_err()
                .starts_with("signature: ")
        );
        assert_eq!(
            required(&other).check(&pack, b"pack").unwrap_err(),
            "signature: by none of the trusted keys"
        );
        let optional = Trust::new(Signatures::Optional, std::slice::from_ref(&key)).unwrap();
        assert!(optional.check(&pack, b"puck").is_err());
        assert!(Trust::new(Signatures::Required, &[]).is_err());
    }

    #[test]
    fn when_it_was_signed_is_what_the_trusted_comment_says() {
        let at = |comment: &str| {
            let (key, comment) = (String::new(), comment.to_owned());
            Signed::By { key, comment }.signed_at()
        };
        assert_eq!(at("region DE version 1 timestamp:7"), Some(7));
        assert_eq!(
            at("timestamp:1635443258\tfile:DE\thashed"),
            Some(1_635_443_258)
        );
        assert_eq!(at("region DE version 1"), None);
        assert_eq!(Signed::No.signed_at(), None);
    }

    #[test]
    fn a_password_guards_the_secret_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, new_keys(Some("p".to_owned())).unwrap().1).unwrap();
        assert!(sign(b"x", &file, Some("q".to_owned()), "").is_err());
        assert!(sign(b"x", &file, None, "").is_err());
        assert!(sign(b"x", &file, Some("p".to_owned()), "").is_ok());
    }
}
