//! `twotick healthcheck`, for containers without `curl`.

use super::client::{Api, Server, Unreachable, with_public_api};
use super::{Cli, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    with_public_api(cli, &args.server, async |api| alive(api, args).await)
}

async fn alive(api: &Api, args: &Args) -> Result<Exit, Unreachable> {
    let answer = api.health().await?;
    Ok(answer.print(&args.server, |_| "alive\n".to_owned()))
}
