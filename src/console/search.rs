//! The search box: one field for everything that a caller may read out. It says what it took it for.

mod meaning;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;

use super::list::{self, Filters, ROWS, Row};
use super::words::{list as list_words, search::Words};
use super::{Action, Console, Frame, Place, Refusal, Signed};
use crate::phone::Phone;
use crate::store::{Filter, Snapshot};
use crate::verification::values::VerificationId;
use meaning::Meaning;

/// How far back the last four digits are looked for.
const RANGES: [(&str, u64); 3] = [("24h", 24), ("7d", 7 * 24), ("30d", 30 * 24)];

/// Of what was typed; as many as the field takes.
const MOST_TYPED: usize = 600;

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    list_words: &'static list_words::Words,
    /// What was typed, to be sent again with another range.
    typed: String,
    found: Option<Found>,
    ranges: Vec<Range>,
}

impl Page {
    /// Nothing was asked, or nothing was found.
    fn teaches(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.rows.is_empty())
    }
}

struct Found {
    /// What the search was taken for.
    recognised: String,
    rows: Vec<Row>,
    /// The same as a list, with what follows these rows.
    as_list: Option<String>,
    /// Why there can be nothing.
    hint: Option<&'static str>,
    shows_range: bool,
}

struct Range {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

#[get("/search")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
) -> Result<HttpResponse, Refusal> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let query = query.map_err(|_| Refusal::BadRequest)?.into_inner();
    let parameter = |name: &str| query.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
    // Nothing that is searched for holds a control character, and nothing is to put one back into the page.
    let typed: String =
        parameter("q").chars().filter(|letter| !letter.is_control()).take(MOST_TYPED).collect();
    let typed = typed.trim();
    let range = RANGES.iter().position(|(value, _)| *value == parameter("range")).unwrap_or(0);
    let language = signed.look.language;
    let words = Words::of(language);
    let searcher = Searcher { console: &console, signed: &signed, words, hours: RANGES[range].1 };
    let found = if typed.is_empty() { None } else { Some(searcher.search(typed).await?) };
    let mut frame = Frame::of(&console, &request, &signed, Place::Verifications, words.title);
    frame.searched = typed.to_owned();
    let ranges = RANGES.iter().zip(words.ranges).enumerate();
    let ranges = ranges.map(|(at, ((value, _), label))| Range { value, label, is_chosen: at == range });
    super::page(&Page {
        frame,
        words,
        list_words: list_words::Words::of(language),
        typed: typed.to_owned(),
        found,
        ranges: ranges.collect(),
    })
}

struct Searcher<'a> {
    console: &'a Console,
    signed: &'a Signed,
    words: &'static Words,
    hours: u64,
}

impl Searcher<'_> {
    async fn search(&self, typed: &str) -> Result<Found, Refusal> {
        let words = self.words;
        match Meaning::of(typed) {
            Meaning::Verification(id) => self.one(words.verification, Some(id)).await,
            Meaning::Message(id) => self.one(words.message, Some(id.verification())).await,
            Meaning::Number(_) | Meaning::LastFour(_) if !self.signed.may(Action::SearchByNumber) => {
                let refused = self.nothing(words.number.to_owned(), Some(words.not_your_role));
                self.or_reference(refused, typed).await
            }
            Meaning::Number(readings) => self.or_reference(self.number(&readings).await?, typed).await,
            Meaning::LastFour(digits) => self.or_reference(self.last_four(&digits).await?, typed).await,
            Meaning::Wamid(text) => {
                let id = self.by_provider(&text).await?;
                self.one(words.wamid, id).await
            }
            Meaning::Text(text) => self.text(text).await,
        }
    }

    /// An id leads to one verification or to none that the user may know of.
    async fn one(&self, recognised: &str, id: Option<VerificationId>) -> Result<Found, Refusal> {
        let snapshot = match id {
            Some(id) => self.console.store.read(id).await?,
            None => None,
        };
        let visible = snapshot.filter(|snapshot| self.signed.sees(&snapshot.verification.request.app));
        Ok(Found { rows: self.rows(visible.as_slice()), ..self.nothing(recognised.to_owned(), None) })
    }

    /// All that the digits may mean; the first that is known, else the likeliest.
    async fn number(&self, readings: &[Phone]) -> Result<Found, Refusal> {
        let recognised = |phone: &Phone| match phone.country().and_then(|code| self.words.country(code)) {
            Some(country) => format!("{}, {country}", self.words.number),
            None => match phone.country() {
                Some(code) => format!("{}, {code}", self.words.number),
                None => self.words.number.to_owned(),
            },
        };
        for phone in readings {
            let filters =
                Filters { number: Some(self.console.vault.number_index(phone)), ..Filters::default() };
            let found = self.listed(recognised(phone), filters).await?;
            if !found.rows.is_empty() {
                return Ok(found);
            }
        }
        match readings {
            [only] => Ok(self.nothing(recognised(only), None)),
            _ambiguous => Ok(self.nothing(self.words.number.to_owned(), Some(self.words.which_country))),
        }
    }

    async fn last_four(&self, digits: &str) -> Result<Found, Refusal> {
        let now = self.console.clock.now();
        let back = Duration::from_secs(self.hours * 3_600);
        let since = crate::verification::values::Timestamp::from_millis(
            now.as_millis().saturating_sub(i64::try_from(back.as_millis()).unwrap_or(i64::MAX)),
        );
        let tail = self.console.vault.number_tail(digits);
        let filters = Filters { tail: Some(tail), since: Some(since), ..Filters::default() };
        let found = self.listed(self.words.last_four.to_owned(), filters).await?;
        Ok(Found { shows_range: true, ..found })
    }

    /// Where digits led to no number, they may be an app's reference all the same.
    async fn or_reference(&self, found: Found, typed: &str) -> Result<Found, Refusal> {
        if !found.rows.is_empty() {
            return Ok(found);
        }
        let by_reference = self.reference(typed.to_owned()).await?;
        Ok(if by_reference.rows.is_empty() { found } else { by_reference })
    }

    async fn reference(&self, text: String) -> Result<Found, Refusal> {
        let filters = Filters { reference: Some(text), ..Filters::default() };
        self.listed(self.words.reference.to_owned(), filters).await
    }

    /// The app's reference, else what a carrier calls a message.
    async fn text(&self, text: String) -> Result<Found, Refusal> {
        let found = self.reference(text.clone()).await?;
        if !found.rows.is_empty() {
            return Ok(found);
        }
        match self.by_provider(&text).await? {
            Some(id) => self.one(self.words.carrier_id, Some(id)).await,
            None => Ok(self.nothing(self.words.text.to_owned(), None)),
        }
    }

    async fn by_provider(&self, text: &str) -> Result<Option<VerificationId>, Refusal> {
        for channel in &self.console.channels {
            if let Some(message) = self.console.store.find(channel.clone(), text.to_owned()).await? {
                return Ok(Some(message.verification()));
            }
        }
        Ok(None)
    }

    async fn listed(&self, recognised: String, filters: Filters) -> Result<Found, Refusal> {
        let filter: Filter = filters.of_store(self.signed);
        let listed = list::find(self.console, filter, ROWS, None).await?;
        let as_list = listed.next.is_some() || !listed.items.is_empty();
        Ok(Found {
            rows: self.rows(&listed.items),
            as_list: as_list.then(|| format!("/console{}", filters.query())),
            ..self.nothing(recognised, None)
        })
    }

    fn rows(&self, snapshots: &[Arc<Snapshot>]) -> Vec<Row> {
        let words = list_words::Words::of(self.signed.look.language);
        snapshots.iter().map(|snapshot| Row::new(self.console, words, snapshot)).collect()
    }

    fn nothing(&self, recognised: String, hint: Option<&'static str>) -> Found {
        Found { recognised, rows: Vec::new(), as_list: None, hint, shows_range: false }
    }
}
