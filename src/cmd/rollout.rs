//! `tsedge rollout`: brings a signed pack, or models, to a fleet by MQTT, stage by stage.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::Outcome;
use crate::config::ConfigFile;
use crate::delivery::fleet::{Bounds, Fleet, HEAD};
use crate::delivery::rollout::{self, End, Parcel, RolloutPlan, Stage};
use crate::delivery::{Item, State};
use crate::output::mqtt::{MqttPlan, begins_topics};
use crate::region::pack::read_bytes;
use crate::region::sign::{Trust, signature_path};

/// Units named one by one, at most.
const MOST_NAMED: usize = 20;

/// Brings a signed pack, or signed models, to a fleet by MQTT, stage by stage.
///
/// Exit codes: 0 done, 1 withdrawn or not done in time.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge rollout start DE.safetensors --config operator.toml --units 'cars/+' \
    --stages test-cars,1%,10%,100%\ndocs/rollout.md tells the whole way."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Offer a pack or models to more and more units; withdraw it when too many refuse it or go back. One that was stopped
    /// goes on with the same command.
    Start(Start),
    /// Take back what is offered: units return to the one before.
    Withdraw {
        /// The pack's region, e.g. DE, or `models`.
        #[arg(value_name = "REGION")]
        item: String,
        #[command(flatten)]
        fleet: FleetArgs,
    },
    /// Print what is offered, and what each unit reads by.
    Status {
        /// The pack's region, e.g. DE, or `models`.
        #[arg(value_name = "REGION")]
        item: String,
        #[command(flatten)]
        fleet: FleetArgs,
    },
}

#[derive(Debug, clap::Args)]
struct FleetArgs {
    /// A configuration with the broker, [mqtt], and the keys of packs, [packs] public_keys.
    #[arg(long, value_name = "TOML")]
    config: PathBuf,
    /// The units' prefixes, with + for a part that varies.
    #[arg(long, value_name = "FILTER", default_value = "cars/+")]
    units: String,
    /// Where packs are offered: the units' [delivery] topic.
    #[arg(long, default_value = "rollout")]
    topic: String,
    /// Seconds that a stage, or a withdrawal, may take.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    patience: u64,
}

#[derive(Debug, clap::Args)]
struct Start {
    /// A pack, or a bundle of models, with its signature beside it.
    pack: PathBuf,
    #[command(flatten)]
    fleet: FleetArgs,
    /// Shares of the fleet and names of groups, in order.
    #[arg(long, value_name = "LIST", default_value = "1%,10%,100%")]
    stages: String,
    /// Of the units of a stage that are there, so many must have it in its place.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    enough: f64,
    /// And so many must have kept it after their trial.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    kept: f64,
    /// If more of a stage refuse it or go back, it is withdrawn everywhere.
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    most_bad: f64,
    /// Seconds that a stage that is done is watched before the next.
    #[arg(long, value_name = "S", default_value_t = 0)]
    hold: u64,
}

impl FleetArgs {
    fn plan(&self, bounds: Bounds, hold: u64) -> anyhow::Result<RolloutPlan> {
        let config = ConfigFile::read(&self.config)?;
        let name = || self.config.display().to_string();
        let mqtt = config.mqtt.as_ref().context("there is no [mqtt] broker");
        let mqtt = mqtt.and_then(MqttPlan::try_from).with_context(name)?;
        let (units, topic) = (&self.units, &self.topic);
        ensure!(
            !units.is_empty() && !units.contains('#') && !units.ends_with('/'),
            "--units {units}: not a filter such as cars/+"
        );
        ensure!(
            begins_topics(topic),
            "--topic {topic}: cannot begin a topic"
        );
        Ok(RolloutPlan {
            mqtt,
            topic: topic.clone(),
            units: units.clone(),
            bounds,
            hold: Duration::from_secs(hold),
            patience: Duration::from_secs(self.patience),
        })
    }
}

/// No stage is judged by them.
const NO_BOUNDS: Bounds = Bounds {
    enough: 1.0,
    kept: 1.0,
    most_bad: 0.0,
};

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Start(args) => start(args)?,
        Command::Withdraw { item: name, fleet } => {
            let plan = fleet.plan(NO_BOUNDS, 0)?;
            rollout::withdraw(&plan, item(name)?, print)?;
        }
        Command::Status { item: name, fleet } => {
            let item = item(name)?;
            let (offer, fleet) = rollout::look(&fleet.plan(NO_BOUNDS, 0)?, item)?;
            match &offer {
                None => say!("{item}: nothing is offered"),
                Some(offer) => {
                    let withdrawn = if offer.withdrawn { ", withdrawn" } else { "" };
                    let (version, percent) = (&offer.version, offer.share * 100.0);
                    let groups = offer.groups.iter().map(|g| format!(" and {g}"));
                    let groups = groups.collect::<String>();
                    say!("{item} version {version} for {percent} %{groups}{withdrawn}");
                    say!("{HEAD}");
                    say!("{:<14} {}", "", fleet.count(offer));
                }
            }
            versions(&fleet)?;
            troubles(&fleet)?;
        }
    }
    Ok(Outcome::Done)
}

fn item(name: &str) -> anyhow::Result<Item> {
    Item::parse(name)
        .with_context(|| format!("`{name}` is neither a region by ISO 3166 nor `models`"))
}

/// A reader that went away must not end a roll-out half way.
fn print(line: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{line}\n"));
}

fn start(args: &Start) -> anyhow::Result<()> {
    for (name, share) in [
        ("enough", args.enough),
        ("kept", args.kept),
        ("most-bad", args.most_bad),
    ] {
        ensure!(
            (0.0..=1.0).contains(&share),
            "--{name} {share}: expected 0 to 1"
        );
    }
    let bounds = Bounds {
        enough: args.enough,
        kept: args.kept,
        most_bad: args.most_bad,
    };
    let plan = args.fleet.plan(bounds, args.hold)?;
    let stages = Stage::parse_all(&args.stages).context("--stages")?;
    let packs = ConfigFile::read(&args.fleet.config)?.packs;
    let trust = Trust::new(Default::default(), &packs.public_keys.unwrap_or_default())
        .and_then(|trust| trust.required())
        .with_context(|| format!("{}: [packs] public_keys", args.fleet.config.display()))?;
    // What units would refuse is not sent at all.
    let parcel = || -> Result<Parcel, String> {
        let bytes = read_bytes(&args.pack)?;
        let beside = signature_path(&args.pack);
        let signature = std::fs::read_to_string(&beside);
        let signature = signature.map_err(|e| format!("{}: {e}", beside.display()))?;
        let signed = trust.check_text(Some(&signature), &bytes)?;
        signed.dated()?;
        Parcel::new(bytes, signature)
    };
    let parcel = parcel().map_err(|e| anyhow::anyhow!("{}: {e}", args.pack.display()))?;
    match rollout::start(&plan, &parcel, &stages, print)? {
        End::Done => {
            let (item, version) = (parcel.item, &parcel.version);
            say!("{item} version {version} is out; units that come later take it too");
            Ok(())
        }
        End::Withdrawn(why) => bail!("withdrawn: {why}; `tsedge rollout status` names them"),
        End::Waiting(why) => bail!("{why}: what is offered stays so; the same command goes on"),
    }
}

fn versions(fleet: &Fleet) -> anyhow::Result<()> {
    say!("");
    for (version, units) in fleet.versions() {
        say!("{units:>7} units: {version}");
    }
    let mut health: BTreeMap<&str, usize> = BTreeMap::new();
    for unit in fleet.units.values().filter(|unit| unit.online) {
        *health
            .entry(unit.health.as_deref().unwrap_or("not told"))
            .or_default() += 1;
    }
    let away = fleet.units.values().filter(|unit| !unit.online).count();
    for (state, units) in health {
        say!("{units:>7} units: health {state}");
    }
    say!("{away:>7} units: not connected");
    Ok(())
}

/// Units that did not take the newest offer, with their reasons.
fn troubles(fleet: &Fleet) -> anyhow::Result<()> {
    let bad = fleet.units.iter().filter_map(|(prefix, unit)| {
        let report = unit.report.as_ref()?;
        matches!(report.state, State::Refused | State::RolledBack).then_some((prefix, report))
    });
    let bad: Vec<_> = bad.collect();
    for (prefix, report) in bad.iter().take(MOST_NAMED) {
        let state = match report.state {
            State::Refused => "refused",
            _ => "rolled back",
        };
        say!("{prefix}: {state}: {}", report.detail);
    }
    if bad.len() > MOST_NAMED {
        say!("and {} more", bad.len() - MOST_NAMED);
    }
    Ok(())
}
