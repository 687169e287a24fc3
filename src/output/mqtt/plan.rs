//! Which broker, and how it is talked to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Messages on their way that the broker has not confirmed.
const MOST_UNCONFIRMED: u16 = 64;

/// See the module.
#[derive(Clone)]
pub struct MqttPlan {
    /// Name or address of the broker.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Topics begin with this.
    pub prefix: String,
    /// Client identifier; where empty, the broker chooses one.
    pub client_id: String,
    /// Who logs in.
    pub login: Option<Login>,
    /// Encryption, and who may vouch for the broker.
    pub tls: Option<Arc<ClientConfig>>,
    /// The broker is asked for a sign of life so often.
    pub keep_alive: Duration,
    /// Events kept while the broker is away.
    pub queue_bytes: usize,
}

/// A user and a password.
#[derive(Clone)]
pub struct Login {
    /// As the broker knows it.
    pub user: String,
    /// May be empty.
    pub password: String,
}

/// Whether topics can begin with `text` and a slash.
pub fn begins_topics(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#', '\0']) && !text.ends_with('/')
}

/// Encryption that believes the authorities in `file`, or those of the system.
pub fn tls(file: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        let name = || format!("[mqtt] ca_file {}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).with_context(name)? {
            let certificate = certificate.with_context(name)?;
            roots.add(certificate).with_context(name)?;
        }
        ensure!(
            !roots.is_empty(),
            "{}: holds no certificate in PEM form",
            name()
        );
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ensure!(
            !roots.is_empty(),
            "[mqtt] this system trusts no authority: give ca_file, or install ca-certificates"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl MqttPlan {
    /// A topic under the prefix.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Options of a unit's connection; the broker says `offline` for a client that is gone without a word.
    pub(super) fn options(&self) -> MqttOptions {
        let mut options = self.bare_options();
        let (topic, will) = (self.topic("status"), super::OFFLINE);
        options.set_last_will(LastWill::new(topic, will, QoS::AtLeastOnce, true, None));
        options
    }

    /// Options of a connection that is no unit's.
    pub fn bare_options(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&*self.client_id, &*self.host, self.port);
        options.set_keep_alive(self.keep_alive);
        // Each takes memory from the start, and 65,535 of them 10 MB.
        options.set_outgoing_inflight_upper_limit(MOST_UNCONFIRMED);
        if let Some(login) = &self.login {
            options.set_credentials(&*login.user, &*login.password);
        }
        if let Some(tls) = &self.tls {
            let tls = TlsConfiguration::Rustls(Arc::clone(tls));
            options.set_transport(Transport::tls_with_config(tls));
        }
        options
    }
}
