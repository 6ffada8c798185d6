//! The events of a verification as they stand in rows and in memory: what each turn added to it, one after the other,
//! in the compact form of the core.

use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::verification::values::Timestamp;
use crate::verification::{Event, Fact, State, evolve};

/// Events of one commit: with the longest titles of errors they stay well under the size of a row.
const EVENTS_A_COMMIT: usize = 8;

/// Puts `events` behind those that stand in `commits`.
pub fn append(commits: &mut Vec<u8>, events: &[Event]) {
    for at_once in events.chunk_by(|one, next| one.at == next.at) {
        for some in at_once.chunks(EVENTS_A_COMMIT) {
            // A vector takes every byte, and the core has no value that cannot be written.
            let _ = append_one(commits, some);
        }
    }
}

fn append_one(
    commits: &mut Vec<u8>,
    events: &[Event],
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let Some(first) = events.first() else { return Ok(()) };
    let mut encoder = Encoder::new(commits);
    encoder.array(2)?.encode(first.at)?.array(events.len() as u64)?;
    events.iter().try_for_each(|event| event.fact.encode(&mut encoder, &mut ()))
}

/// Everything that stands in `commits`, in order.
pub fn read(commits: &[u8]) -> Result<Vec<Event>, minicbor::decode::Error> {
    let mut events = Vec::with_capacity(EVENTS_A_COMMIT);
    let mut decoder = Decoder::new(commits);
    while decoder.position() < commits.len() {
        read_one(&mut decoder, |event| events.push(event))?;
    }
    Ok(events)
}

/// The state that `commits` fold to.
pub fn fold(commits: &[u8]) -> Result<State, minicbor::decode::Error> {
    let mut state = State::New;
    let mut decoder = Decoder::new(commits);
    while decoder.position() < commits.len() {
        read_one(&mut decoder, |event| {
            state = evolve(std::mem::take(&mut state), &event);
        })?;
    }
    Ok(state)
}

/// Of which app the request is that `commits` begin with.
pub fn app(commits: &[u8]) -> Result<&str, minicbor::decode::Error> {
    let mut decoder = Decoder::new(commits);
    // The commit and its time, the facts, the first of them and its kind, the request and its id.
    decoder.array()?;
    decoder.skip()?;
    decoder.array()?;
    decoder.array()?;
    match decoder.u32()? {
        0 => {}
        _ => return Err(minicbor::decode::Error::message("it does not begin with a request")),
    }
    decoder.array()?;
    decoder.skip()?;
    decoder.str()
}

/// How many events stand in `commits`.
pub fn count(commits: &[u8]) -> Result<u32, minicbor::decode::Error> {
    Ok(split(commits, usize::MAX)?.first().map_or(0, |(_, events)| *events))
}

/// Cuts `commits` into parts of at most `most` bytes, each with the number of events in it. One commit is never cut.
pub fn split(commits: &[u8], most: usize) -> Result<Vec<(&[u8], u32)>, minicbor::decode::Error> {
    let (mut parts, mut start, mut events) = (Vec::new(), 0, 0);
    let mut decoder = Decoder::new(commits);
    while decoder.position() < commits.len() {
        let (before, mut added) = (decoder.position(), 0);
        read_one(&mut decoder, |_| added += 1)?;
        if decoder.position() - start > most && before > start {
            parts.push((&commits[start..before], events));
            (start, events) = (before, 0);
        }
        events += added;
    }
    if start < commits.len() {
        parts.push((&commits[start..], events));
    }
    Ok(parts)
}

fn read_one(decoder: &mut Decoder<'_>, mut each: impl FnMut(Event)) -> Result<(), minicbor::decode::Error> {
    let unknown = |what| Err(minicbor::decode::Error::message(what));
    let Some(2) = decoder.array()? else { return unknown("a commit is a time and facts") };
    let at = Timestamp::decode(decoder, &mut ())?;
    let Some(count) = decoder.array()? else { return unknown("the facts of a commit have no number") };
    for _ in 0..count {
        each(Event { at, fact: Fact::decode(decoder, &mut ())? });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of fact, as the frozen streams hold them.
    fn streams() -> Vec<Vec<Event>> {
        #[derive(serde::Deserialize)]
        struct Commit {
            at: Timestamp,
            facts: Vec<Fact>,
        }
        #[derive(serde::Deserialize)]
        struct Stream {
            commits: Vec<Commit>,
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/streams")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .map(|path| {
                let text = std::fs::read(path).unwrap();
                let stream: Stream = serde_json::from_slice(&text).unwrap();
                let event = |at| move |fact| Event { at, fact };
                stream.commits.into_iter().flat_map(|one| one.facts.into_iter().map(event(one.at))).collect()
            })
            .collect()
    }

    #[test]
    fn what_is_read_is_what_was_written_and_folds_to_the_same() {
        let (mut compact, mut json) = (0, 0);
        for events in streams() {
            let mut commits = Vec::new();
            append(&mut commits, &events);
            assert_eq!(read(&commits).unwrap(), events);
            assert_eq!(fold(&commits).unwrap(), State::fold(&events));
            let Fact::Requested { request, .. } = &events[0].fact else { panic!("no request comes first") };
            assert_eq!(app(&commits).unwrap(), request.app.as_str());
            compact += commits.len();
            json += events.iter().map(|event| serde_json::to_vec(&event.fact).unwrap().len()).sum::<usize>();
        }
        assert!(compact * 2 < json, "{compact} bytes where JSON has {json}");
    }

    #[test]
    fn parts_are_cut_between_commits_and_hold_everything() {
        for events in streams() {
            let mut commits = Vec::new();
            append(&mut commits, &events);
            for most in [1, 64, 200, 100_000] {
                let parts = split(&commits, most).unwrap();
                let whole: Vec<_> = parts.iter().flat_map(|(part, _)| read(part).unwrap()).collect();
                assert_eq!(whole, events);
                for (part, count) in &parts {
                    assert_eq!(read(part).unwrap().len(), *count as usize);
                    assert!(part.len() <= most || split(part, most).unwrap().len() == 1);
                }
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_has_values_out_of_bounds_is_refused() {
        let mut commits = Vec::new();
        append(&mut commits, &streams()[0]);
        for length in 1..commits.len() {
            if split(&commits[..length], 1).is_ok() {
                let whole = streams()[0].len();
                assert!(read(&commits[..length]).unwrap().len() < whole, "cut at {length}");
            }
        }
        // Message 0 of `send_started`, which has no place in a list.
        assert!(read(&[0x82, 0x05, 0x81, 0x84, 0x02, 0x00, 0x01, 0x01]).is_err());
        assert!(read(&[0x82, 0x05, 0x81, 0x84, 0x02, 0x01, 0x01, 0x01]).is_ok());
    }
}
