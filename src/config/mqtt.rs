//! The section `[mqtt]`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::secret::secret;
use crate::output::mqtt::{Login, MqttPlan, begins_topics, tls};

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// `mqtt://HOST` or, encrypted, `mqtts://HOST`; with `:PORT` where it is not 1883 or 8883.
    pub broker: String,
    /// Topics begin with this.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Client identifier; else the broker chooses one.
    #[serde(default)]
    pub client_id: String,
    /// User name.
    pub user: Option<String>,
    /// A file that holds the password, in its first line.
    pub password_file: Option<PathBuf>,
    /// Authorities that may vouch for the broker, as PEM; else those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The broker is asked for a sign of life so often.
    #[serde(default = "default_keep_alive_s")]
    pub keep_alive_s: u16,
    /// Events kept while the broker is away, in KiB; then the oldest go.
    #[serde(default = "default_queue_kb")]
    pub queue_kb: usize,
}

fn default_prefix() -> String {
    "tsedge".to_owned()
}

fn default_keep_alive_s() -> u16 {
    15
}

fn default_queue_kb() -> usize {
    1024
}

impl TryFrom<&MqttConfig> for MqttPlan {
    type Error = anyhow::Error;

    fn try_from(config: &MqttConfig) -> anyhow::Result<Self> {
        let (host, port, encrypted) = address(&config.broker)?;
        let prefix = &config.prefix;
        ensure!(
            begins_topics(prefix) && !prefix.starts_with(['/', '$']),
            "[mqtt] prefix: `{prefix}` cannot begin a topic; give one such as `tsedge` or `cars/7`"
        );
        ensure!(
            config.keep_alive_s >= 5,
            "[mqtt] keep_alive_s: less than 5 s"
        );
        ensure!(
            (16..=1 << 20).contains(&config.queue_kb),
            "[mqtt] queue_kb: not between 16 and 1048576"
        );
        ensure!(
            encrypted || config.ca_file.is_none(),
            "[mqtt] ca_file is for a broker at mqtts://, and this one is at mqtt://"
        );
        let login = match (&config.user, &config.password_file) {
            (None, Some(_)) => anyhow::bail!("[mqtt] password_file without user"),
            (None, None) => None,
            (Some(user), file) => {
                let read = |file: &PathBuf| {
                    let name = || format!("[mqtt] password_file {}", file.display());
                    secret(file).with_context(name)
                };
                let password = file.as_ref().map(read).transpose()?.unwrap_or_default();
                let user = user.clone();
                Some(Login { user, password })
            }
        };
        let tls = encrypted.then(|| tls(config.ca_file.as_deref()));
        Ok(Self {
            host,
            port,
            prefix: prefix.clone(),
            client_id: config.client_id.clone(),
            login,
            tls: tls.transpose()?,
            keep_alive: Duration::from_secs(config.keep_alive_s.into()),
            queue_bytes: config.queue_kb << 10,
        })
    }
}

/// Host, port, and whether it is encrypted.
fn address(broker: &str) -> anyhow::Result<(String, u16, bool)> {
    let wanted = || format!("[mqtt] broker: `{broker}` is not mqtt://HOST or mqtts://HOST");
    let (scheme, rest) = broker.split_once("://").with_context(wanted)?;
    let (encrypted, port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => anyhow::bail!(wanted()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, digits)) if !digits.ends_with(']') => {
            let port = digits.parse().ok().filter(|port| *port != 0);
            (host, port.with_context(wanted)?)
        }
        _ => (rest, port),
    };
    ensure!(
        !host.is_empty() && !host.contains(['/', '@', ' ']),
        wanted()
    );
    Ok((host.to_owned(), port, encrypted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let refused = [
            ("broker = \"mqtt://a\"\nprefix = \"a/#\"", "prefix"),
            ("broker = \"mqtt://a\"\nprefix = \"\"", "prefix"),
            ("broker = \"mqtt://a\"\nkeep_alive_s = 1", "keep_alive_s"),
            ("broker = \"mqtt://a\"\nqueue_kb = 0", "queue_kb"),
            ("broker = \"mqtt://a\"\nca_file = \"ca.pem\"", "mqtts://"),
            (
                "broker = \"mqtts://a\"\nca_file = \"no-ca.pem\"",
                "no-ca.pem",
            ),
            (
                "broker = \"mqtts://a\"\nca_file = \"Cargo.toml\"",
                "no certificate",
            ),
            (
                "broker = \"mqtt://a\"\npassword_file = \"x\"",
                "without user",
            ),
            (
                "broker = \"mqtt://a\"\nuser = \"u\"\npassword_file = \"no-file\"",
                "no-file",
            ),
        ];
        for (text, words) in refused {
            let config = toml::from_str::<MqttConfig>(text).unwrap();
            let error = MqttPlan::try_from(&config).err().unwrap();
            assert!(format!("{error:#}").contains(words), "{text}: {error:#}");
        }
    }

    #[test]
    fn brokers_are_named_by_scheme_host_and_port() {
        let good = [
            ("mqtt://localhost", ("localhost", 1883, false)),
            ("mqtts://broker.example/", ("broker.example", 8883, true)),
            ("mqtt://10.0.0.1:1884", ("10.0.0.1", 1884, false)),
            ("mqtt://[::1]", ("[::1]", 1883, false)),
            ("mqtt://[::1]:99", ("[::1]", 99, false)),
        ];
        for (text, (host, port, encrypted)) in good {
            assert_eq!(address(text).unwrap(), (host.to_owned(), port, encrypted));
        }
        for text in [
            "localhost:1883",
            "http://a",
            "mqtt://",
            "mqtt://a:0",
            "mqtt://a:70000",
            "mqtt://user@a",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
