//! The search box: one field for anything that a caller may read out. The result says how the input was interpreted.

mod query;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use askama::Template;

use super::address::{self, UrlText};
use super::list::{self, Filters, ROWS, Row};
use super::lookups::Lookup;
use super::posted::PostedForm;
use super::words::{list as list_words, search::Words};
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};
use crate::phone::{Phone, digits};
use crate::store::{Filter, Snapshot};
use crate::verification::values::{NumberIndex, NumberTail, ProviderRef, VerificationId};
use query::QueryKind;

/// Time ranges for the search by the last four digits.
const RANGES: [(&str, u64); 3] = [("24h", 24), ("7d", 7 * 24), ("30d", 30 * 24)];

/// The maximum length of the input.
const MAX_TYPED: usize = 600;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    words: &'static Words,
    list_words: &'static list_words::Words,
    /// The input, for repeating the search with another range; sealed if it may contain a number.
    typed: String,
    found: Option<SearchResult>,
    ranges: Vec<Range>,
}

impl SearchPage {
    /// Whether to show examples: no query or no result.
    fn shows_help(&self) -> bool {
        self.found.as_ref().is_none_or(|found| found.rows.is_empty())
    }
}

struct SearchResult {
    /// The interpretation of the input.
    recognised: String,
    rows: Vec<Row>,
    /// The link to the full list.
    as_list: Option<String>,
    /// The URL of the same result, without the typed number.
    address: Option<String>,
    /// Why there is no result.
    hint: Option<&'static str>,
    shows_range: bool,
}

struct Range {
    value: &'static str,
    label: &'static str,
    is_chosen: bool,
}

/// The query.
struct SearchQuery {
    typed: UrlText,
    range: usize,
    /// The blind index of a number typed before, and its country.
    number: Option<(NumberIndex, Option<String>)>,
}

impl SearchQuery {
    /// Parses the URL, where the text may be sealed.
    fn asked<'a>(console: &Console, parameter: impl Fn(&str) -> &'a str) -> Result<Self, Refusal> {
        let read = UrlText::read(&console.vault, parameter("q")).ok_or(Refusal::BadRequest)?;
        Ok(Self::new(console, read.text.as_str(), &parameter))
    }

    fn new<'a>(console: &Console, typed: &str, parameter: &impl Fn(&str) -> &'a str) -> Self {
        // No searchable text contains control characters, and none may be echoed. Tabs and line breaks come with pasted
        // text.
        let typed = typed.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
        let typed: String = typed.filter(|letter| !letter.is_control()).take(MAX_TYPED).collect();
        let range = RANGES.iter().position(|(value, _)| *value == parameter("range")).unwrap_or(0);
        let is_code = |code: &str| code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase());
        let country = Some(parameter("country")).filter(|code| is_code(code)).map(str::to_owned);
        let number = list::number_index(parameter("number")).map(|index| (index, country));
        Self { typed: UrlText::new(&console.vault, typed.trim().to_owned()), range, number }
    }

    fn address(&self) -> String {
        format!("/console/search?{}&range={}", address::pair("q", self.typed.written()), RANGES[self.range].0)
    }
}

/// Handles the search form. Redirects to a URL that contains the blind index of a number; other texts that may contain
/// a number are sealed.
#[post("/search")]
pub async fn ask(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    let query = SearchQuery::new(&console, posted.text("q"), &|name| posted.text(name));
    let leads_to =
        |address: String| HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish();
    let meaning = QueryKind::of(&query.typed.text, console.home_country);
    if !matches!(meaning, QueryKind::Number(_) | QueryKind::User(_)) {
        return Ok(leads_to(query.address()));
    }
    let found = Searcher::new(&console, &signed, &query).search(&query.typed.text).await?;
    match found.address {
        Some(address) => Ok(leads_to(address)),
        None => show(&console, &request, &signed, query, Some(found)),
    }
}

#[get("/search")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let query = query.map_err(|_| Refusal::BadRequest)?.into_inner();
    let parameter = |name: &str| query.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
    let query = SearchQuery::asked(&console, parameter)?;
    let searcher = Searcher::new(&console, &signed, &query);
    let found = match &query.number {
        Some((index, country)) => Some(searcher.numbered(*index, country.as_deref()).await?),
        None if query.typed.text.is_empty() => None,
        None => Some(searcher.search(&query.typed.text).await?),
    };
    show(&console, &request, &signed, query, found)
}

fn show(
    console: &Console,
    request: &HttpRequest,
    signed: &CurrentUser,
    query: SearchQuery,
    found: Option<SearchResult>,
) -> Result<HttpResponse, Refusal> {
    let language = signed.preferences.language;
    let words = Words::of(language);
    let mut frame = Frame::of(console, request, signed, Tab::Verifications, words.title);
    frame.searched = query.typed.text.clone();
    let ranges = RANGES.iter().enumerate().map(|(at, (value, _))| Range {
        value,
        label: words.range(at),
        is_chosen: at == query.range,
    });
    super::page(&SearchPage {
        frame,
        words,
        list_words: list_words::Words::of(language),
        typed: query.typed.written().to_owned(),
        found,
        ranges: ranges.collect(),
    })
}

/// The filter by person.
pub enum NumberFilter {
    Number(NumberIndex),
    Tail(NumberTail),
}

/// Interprets the list filter's field for a number; `None` if it holds none.
pub async fn number_filter(
    console: &Console,
    signed: &CurrentUser,
    typed: &str,
) -> Result<Option<NumberFilter>, Refusal> {
    match QueryKind::of(typed, console.home_country) {
        QueryKind::LastFour(digits) => Ok(Some(NumberFilter::Tail(console.vault.number_tail(&digits)))),
        QueryKind::Number(readings) => {
            let indexes: Vec<_> = readings.iter().map(|phone| console.vault.number_index(phone)).collect();
            let Some(likeliest) = indexes.first().copied() else { return Ok(None) };
            console.record_lookup(signed, Lookup::Number(likeliest)).await?;
            for number in indexes {
                let filter = Filters { number: Some(number), ..Filters::default() }.of_store(signed);
                if !console.store.list(filter, 1, None).await?.items.is_empty() {
                    return Ok(Some(NumberFilter::Number(number)));
                }
            }
            Ok(Some(NumberFilter::Number(likeliest)))
        }
        QueryKind::User(alias) => {
            let index = console.vault.known_as(&alias).index;
            console.record_lookup(signed, Lookup::Number(index)).await?;
            Ok(Some(NumberFilter::Number(index)))
        }
        QueryKind::Verification(_) | QueryKind::Message(_) | QueryKind::Wamid(_) | QueryKind::Text(_) => {
            Ok(None)
        }
    }
}

struct Searcher<'a> {
    console: &'a Console,
    signed: &'a CurrentUser,
    words: &'static Words,
    hours: u64,
}

impl<'a> Searcher<'a> {
    fn new(console: &'a Console, signed: &'a CurrentUser, query: &SearchQuery) -> Self {
        Self { console, signed, words: Words::of(signed.preferences.language), hours: RANGES[query.range].1 }
    }

    async fn search(&self, typed: &str) -> Result<SearchResult, Refusal> {
        let words = self.words;
        match QueryKind::of(typed, self.console.home_country) {
            QueryKind::Verification(id) => self.one(words.verification, Some(id)).await,
            QueryKind::Message(id) => self.one(words.message, Some(id.verification())).await,
            QueryKind::Number(_) | QueryKind::User(_) | QueryKind::LastFour(_)
                if !self.signed.may(Action::SearchByNumber) =>
            {
                let refused = self.nothing(words.number.to_owned(), Some(words.not_your_role));
                self.or_reference(refused, typed).await
            }
            QueryKind::Number(readings) => self.or_reference(self.number(&readings).await?, typed).await,
            QueryKind::User(alias) => {
                let found = self.numbered(self.console.vault.known_as(&alias).index, None).await?;
                self.or_reference(found, typed).await
            }
            QueryKind::LastFour(digits) => self.or_reference(self.last_four(&digits).await?, typed).await,
            QueryKind::Wamid(text) => {
                let id = self.by_provider(&text).await?;
                self.one(words.wamid, id).await
            }
            QueryKind::Text(text) => {
                // Unrecognized digits may still be a number in an app's reference.
                if digits::may_hold_a_number(&text) {
                    let hash = self.console.vault.fingerprint("console search", text.as_bytes());
                    self.console.record_lookup(self.signed, Lookup::Digits(hash)).await?;
                }
                self.text(text).await
            }
        }
    }

    /// Looks up a verification by id. The result is empty if the user may not see it.
    async fn one(&self, recognised: &str, id: Option<VerificationId>) -> Result<SearchResult, Refusal> {
        let snapshot = match id {
            Some(id) => self.console.store.read(id).await?,
            None => None,
        };
        let visible = snapshot.filter(|snapshot| self.signed.sees(&snapshot.verification.request.app));
        Ok(SearchResult { rows: self.rows(visible.as_slice()), ..self.nothing(recognised.to_owned(), None) })
    }

    /// Tries all readings of the digits. Returns the first that has verifications, else the most likely.
    async fn number(&self, readings: &[Phone]) -> Result<SearchResult, Refusal> {
        self.note(readings).await?;
        for phone in readings {
            let found = self.of_number(self.console.vault.number_index(phone), phone.country()).await?;
            if !found.rows.is_empty() {
                return Ok(found);
            }
        }
        match readings {
            [only] => Ok(self.nothing(self.number_of(only.country()), None)),
            _ambiguous => Ok(self.nothing(self.words.number.to_owned(), Some(self.words.which_country))),
        }
    }

    /// Records one search, regardless of the number of readings.
    async fn note(&self, readings: &[Phone]) -> Result<(), Refusal> {
        let Some(likeliest) = readings.first() else { return Ok(()) };
        let index = self.console.vault.number_index(likeliest);
        self.console.record_lookup(self.signed, Lookup::Number(index)).await
    }

    async fn numbered(&self, index: NumberIndex, country: Option<&str>) -> Result<SearchResult, Refusal> {
        self.console.record_lookup(self.signed, Lookup::Number(index)).await?;
        self.of_number(index, country).await
    }

    async fn of_number(&self, index: NumberIndex, country: Option<&str>) -> Result<SearchResult, Refusal> {
        let filters = Filters { number: Some(index), ..Filters::default() };
        let address = format!(
            "/console/search{}&country={}",
            filters.query(),
            list::encoded(country.unwrap_or_default())
        );
        let found = self.listed(self.number_of(country), filters).await?;
        let address = Some(address).filter(|_| !found.rows.is_empty());
        Ok(SearchResult { address, ..found })
    }

    /// Such as `phone number, Germany`.
    fn number_of(&self, country: Option<&str>) -> String {
        match country.map(|code| self.words.country(code).unwrap_or(code)) {
            Some(country) => format!("{}, {country}", self.words.number),
            None => self.words.number.to_owned(),
        }
    }

    async fn last_four(&self, digits: &str) -> Result<SearchResult, Refusal> {
        let now = self.console.clock.now();
        let back = Duration::from_secs(self.hours * 3_600);
        let since = now - back;
        let tail = self.console.vault.number_tail(digits);
        self.console.record_lookup(self.signed, Lookup::Tail(tail)).await?;
        let filters = Filters { tail: Some(tail), since: Some(since), ..Filters::default() };
        let found = self.listed(self.words.last_four.to_owned(), filters).await?;
        Ok(SearchResult { shows_range: true, ..found })
    }

    /// Falls back to the app's reference if the digits match no number.
    async fn or_reference(&self, found: SearchResult, typed: &str) -> Result<SearchResult, Refusal> {
        if !found.rows.is_empty() {
            return Ok(found);
        }
        let by_reference = self.reference(typed.to_owned()).await?;
        Ok(if by_reference.rows.is_empty() { found } else { by_reference })
    }

    async fn reference(&self, text: String) -> Result<SearchResult, Refusal> {
        let reference = Some(UrlText::new(&self.console.vault, text));
        let filters = Filters { reference, ..Filters::default() };
        self.listed(self.words.reference.to_owned(), filters).await
    }

    /// Searches by the app's reference, else by a provider's message id.
    async fn text(&self, text: String) -> Result<SearchResult, Refusal> {
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
        let Ok(reference) = ProviderRef::parse(text) else { return Ok(None) };
        let name = self.console.vault.hidden_ref(reference).name().to_owned();
        for channel in &self.console.channels {
            if let Some(message) = self.console.store.find(channel.clone(), name.clone()).await? {
                return Ok(Some(message.verification()));
            }
        }
        Ok(None)
    }

    async fn listed(&self, recognised: String, filters: Filters) -> Result<SearchResult, Refusal> {
        let filter: Filter = filters.of_store(self.signed);
        let listed = self.console.store.list(filter, ROWS, None).await?;
        let as_list = listed.next.is_some() || !listed.items.is_empty();
        Ok(SearchResult {
            rows: self.rows(&listed.items),
            as_list: as_list.then(|| format!("/console{}", filters.query())),
            ..self.nothing(recognised, None)
        })
    }

    fn rows(&self, snapshots: &[Arc<Snapshot>]) -> Vec<Row> {
        let words = list_words::Words::of(self.signed.preferences.language);
        snapshots.iter().map(|snapshot| Row::new(self.console, words, snapshot)).collect()
    }

    fn nothing(&self, recognised: String, hint: Option<&'static str>) -> SearchResult {
        SearchResult { recognised, rows: Vec::new(), as_list: None, address: None, hint, shows_range: false }
    }
}
