//! What cargo and rustc are asked, and how.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Error, Metadata, MetadataCommand};

/// How cargo is to be asked.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Asking {
    /// The program's Cargo.toml
    #[arg(long = "manifest-path", global = true, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Have cargo not ask the network
    #[arg(long, global = true)]
    offline: bool,
    #[command(flatten)]
    pub features: Features,
}

/// A choice among the features of the program.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Features {
    /// Features of the program to turn on, as cargo takes them
    #[arg(long, short = 'F', global = true, value_name = "FEATURES")]
    features: Vec<String>,
    /// Turn all features of the program on
    #[arg(long, global = true)]
    all_features: bool,
    /// Leave the program's default features off
    #[arg(long, global = true)]
    no_default_features: bool,
}

impl Features {
    pub fn all() -> Self {
        Features {
            all_features: true,
            ..Self::default()
        }
    }

    /// This choice, and one feature more.
    pub fn with(&self, feature: &str) -> Self {
        let mut more = self.clone();
        more.features.push(feature.to_owned());
        more
    }

    fn arguments(&self) -> Vec<String> {
        let features = self.features.iter();
        let mut arguments: Vec<String> = features
            .map(|features| format!("--features={features}"))
            .collect();
        if self.all_features {
            arguments.push("--all-features".into());
        }
        if self.no_default_features {
            arguments.push("--no-default-features".into());
        }
        arguments
    }
}

impl Asking {
    /// The packages that these features need: on this machine, or on any. What is `locked` stays as the lock file has it.
    pub fn metadata(&self, features: &Features, here: bool, locked: bool) -> Result<Metadata> {
        let mut command = MetadataCommand::new();
        if let Some(manifest) = &self.manifest {
            command.manifest_path(manifest);
        }
        let mut arguments = features.arguments();
        if here {
            arguments.extend(["--filter-platform".into(), host()?]);
        }
        if self.offline {
            arguments.push("--offline".into());
        }
        if locked {
            arguments.push("--locked".into());
        }
        command.other_options(arguments);
        command.exec().map_err(|error| match error {
            // Whoever reads this passed no `--locked`.
            Error::CargoMetadata { stderr } if locked && stderr.contains("--locked") => anyhow!(
                "the lock file does not fit the manifests, which were changed since: `cargo update --workspace` brings it up to date"
            ),
            Error::CargoMetadata { stderr } => anyhow!("{}", without_head(&stderr)),
            other => other.into(),
        })
    }

    /// The workspace's folder.
    pub fn root(&self) -> Result<PathBuf> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["locate-project", "--workspace", "--message-format", "plain"]);
        if let Some(manifest) = &self.manifest {
            command.arg("--manifest-path").arg(manifest);
        }
        let output = command.output().context("cargo cannot be run")?;
        if !output.status.success() {
            bail!("{}", without_head(&String::from_utf8_lossy(&output.stderr)));
        }
        let manifest = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        Ok(manifest
            .parent()
            .expect("a manifest lies in a folder")
            .to_owned())
    }
}

/// What cargo says, without the words that come before it.
fn without_head(stderr: &str) -> &str {
    let stderr = stderr.trim();
    stderr.strip_prefix("error: ").unwrap_or(stderr)
}

fn host() -> Result<String> {
    let text = rustc(&["-vV"])?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("`rustc -vV` does not tell its host")?
        .to_owned())
}

pub fn rustc(arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(arguments)
        .output()
        .context("rustc cannot be run")?;
    Ok(String::from_utf8(output.stdout)?)
}
