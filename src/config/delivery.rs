//! The section `[delivery]`: packs and models that come by MQTT.

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::ConfigFile;
use crate::delivery::{DeliveryPlan, Restart};
use crate::output::mqtt::begins_topics;

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryConfig {
    /// Where they are offered.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// The group that the unit belongs to: a roll-out can begin with one.
    pub group: Option<String>,
    /// Larger packs are refused, in MiB.
    #[serde(default = "default_max_mb")]
    pub max_mb: usize,
    /// Larger sets of models are refused, in MiB.
    #[serde(default = "default_max_models_mb")]
    pub max_models_mb: usize,
    /// What is new is judged by so many signs.
    #[serde(default = "default_trial_signs")]
    pub trial_signs: u64,
    /// When other models come into force: `next_start`, which is the default, or `at_once`.
    #[serde(default)]
    pub restart: Restart,
}

fn default_topic() -> String {
    "rollout".to_owned()
}

fn default_max_mb() -> usize {
    16
}

fn default_max_models_mb() -> usize {
    64
}

fn default_trial_signs() -> u64 {
    50
}

impl DeliveryConfig {
    /// With what it needs of other sections.
    pub fn plan(&self, config: &ConfigFile) -> anyhow::Result<DeliveryPlan> {
        let mqtt = config.mqtt.as_ref().context("[delivery] needs [mqtt]")?;
        let installed = (config.packs.installed.clone())
            .context("[delivery] needs a folder for packs: [packs] installed")?;
        let keys = config.packs.public_keys.as_ref();
        ensure!(
            keys.is_some_and(|keys| !keys.is_empty()),
            "[delivery] needs the key that packs are signed with: [packs] public_keys"
        );
        let topic = &self.topic;
        ensure!(
            begins_topics(topic),
            "[delivery] topic: `{topic}` cannot begin a topic; give one such as `rollout`"
        );
        for (key, mb) in [
            ("max_mb", self.max_mb),
            ("max_models_mb", self.max_models_mb),
        ] {
            ensure!(
                (1..=256).contains(&mb),
                "[delivery] {key}: not between 1 and 256"
            );
        }
        ensure!(
            (20..=200).contains(&self.trial_signs),
            "[delivery] trial_signs: not between 20 and 200"
        );
        Ok(DeliveryPlan {
            topic: topic.clone(),
            prefix: mqtt.prefix.clone(),
            group: self.group.clone(),
            max_bytes: self.max_mb << 20,
            max_models_bytes: self.max_models_mb << 20,
            trial_signs: self.trial_signs,
            installed,
            restart: self.restart,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_needs_and_what_cannot_be_is_named() {
        let mqtt = "[mqtt]\nbroker = \"mqtt://a\"\n";
        let packs = "[packs]\ninstalled = \"p\"\npublic_keys = [\"RWQ\"]\n";
        let plan = |text: &str| {
            let config = ConfigFile::parse(text).unwrap();
            config.delivery.as_ref().unwrap().plan(&config)
        };
        assert!(plan(&format!("{mqtt}{packs}[delivery]\n")).is_ok());
        let topic = format!("{mqtt}{packs}[delivery]\ntopic = \"a/#\"\n");
        let signs = format!("{mqtt}{packs}[delivery]\ntrial_signs = 5\n");
        let keys = format!("{mqtt}[packs]\ninstalled = \"p\"\n[delivery]\n");
        for (text, words) in [
            (&*format!("{packs}[delivery]\n"), "needs [mqtt]"),
            (&*format!("{mqtt}[delivery]\n"), "[packs] installed"),
            (&*keys, "[packs] public_keys"),
            (&*topic, "topic"),
            (&*signs, "trial_signs"),
        ] {
            let error = plan(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
