//! Of the pages that say why there is no page.

use crate::console::Refusal;
use crate::language::Language;

pub struct Words {
    pub home: &'static str,
    /// Before the command that makes a hash, the lines for the file, and the command that checks it.
    pub make_hash: &'static str,
    pub enter_user: &'static str,
    pub restart: &'static str,
    not_found: Message,
    forbidden: Message,
    sign_in_first: Message,
    no_users: Message,
    stale_form: Message,
    foreign_origin: Message,
    bad_request: Message,
    too_large: Message,
    method_not_allowed: Message,
    busy: Message,
    too_many_lookups: Message,
    stopping: Message,
    full: Message,
    internal: Message,
}

pub struct Message {
    pub title: &'static str,
    pub text: &'static str,
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    pub fn of_refusal(&self, refusal: &Refusal) -> &Message {
        match refusal {
            Refusal::NotFound => &self.not_found,
            Refusal::Forbidden => &self.forbidden,
            Refusal::SignInFirst => &self.sign_in_first,
            Refusal::NoUsers => &self.no_users,
            Refusal::StaleForm => &self.stale_form,
            Refusal::ForeignOrigin => &self.foreign_origin,
            Refusal::BadRequest => &self.bad_request,
            Refusal::TooLarge => &self.too_large,
            Refusal::MethodNotAllowed => &self.method_not_allowed,
            Refusal::Busy(_) => &self.busy,
            Refusal::TooManyLookups(_) => &self.too_many_lookups,
            Refusal::Stopping => &self.stopping,
            Refusal::Full => &self.full,
            Refusal::Internal => &self.internal,
        }
    }
}

const ENGLISH: Words = Words {
    home: "To the list of verifications",
    make_hash: "Make a hash of a password of your choice:",
    enter_user: "Put a user into the configuration:",
    restart: "Check it, then start twotick again:",
    not_found: Message {
        title: "There is nothing here",
        text: "The page does not exist, the verification was removed after its time, or it belongs to an app that you do not look after.",
    },
    forbidden: Message {
        title: "Your role does not allow this",
        text: "Ask an operator if you need it for your work.",
    },
    sign_in_first: Message {
        title: "Please sign in",
        text: "Your session has ended: after 30 minutes without use, after 12 hours, or because you signed out.",
    },
    no_users: Message {
        title: "The console has no user yet",
        text: "It shows nothing until somebody can sign in. Three steps make the first user:",
    },
    stale_form: Message {
        title: "This form is no longer valid",
        text: "You signed in or out since it was opened. Nothing was done. Go back, load the page again and repeat it.",
    },
    foreign_origin: Message {
        title: "This did not come from the console",
        text: "Another site sent this request, or a proxy changes the address. Nothing was done. Operators: console.public_url has to be the address in the browser.",
    },
    bad_request: Message {
        title: "This request cannot be read",
        text: "An address or a form holds something that is not understood. Nothing was done.",
    },
    too_large: Message {
        title: "That is too much",
        text: "The form holds more than is taken. Nothing was done.",
    },
    method_not_allowed: Message {
        title: "This is not possible here",
        text: "The address exists but cannot be used in this way. Nothing was done.",
    },
    busy: Message {
        title: "Too busy at this moment",
        text: "More is being asked than can be answered. Please try again in a few seconds.",
    },
    too_many_lookups: Message {
        title: "Too many searches",
        text: "You searched for more numbers, or opened more verifications, than one person usually does. Please wait a minute. Operators have been told.",
    },
    stopping: Message {
        title: "twotick is being stopped",
        text: "Please try again when it is back, normally within a minute.",
    },
    full: Message {
        title: "There is no room on the disk",
        text: "Nothing can be recorded and so nothing was done. An operator has to make room.",
    },
    internal: Message {
        title: "Something is broken",
        text: "It has been written to the server's log. Please tell an operator when it happened.",
    },
};

const GERMAN: Words = Words {
    home: "Zur Liste der Verifizierungen",
    make_hash: "Machen Sie einen Hash aus einem Passwort Ihrer Wahl:",
    enter_user: "Tragen Sie eine Person in die Konfiguration ein:",
    restart: "Prüfen Sie sie und starten Sie twotick neu:",
    not_found: Message {
        title: "Hier ist nichts",
        text: "Die Seite gibt es nicht, die Verifizierung wurde nach Ablauf ihrer Frist gelöscht, oder sie gehört zu einer App, die Sie nicht betreuen.",
    },
    forbidden: Message {
        title: "Ihre Rolle erlaubt das nicht",
        text: "Wenden Sie sich an den Betrieb, wenn Sie es für Ihre Arbeit brauchen.",
    },
    sign_in_first: Message {
        title: "Bitte melden Sie sich an",
        text: "Ihre Sitzung ist beendet: nach 30 Minuten ohne Benutzung, nach 12 Stunden oder weil Sie sich abgemeldet haben.",
    },
    no_users: Message {
        title: "Für die Konsole ist noch niemand eingetragen",
        text: "Sie zeigt nichts, bis sich jemand anmelden kann. Drei Schritte genügen:",
    },
    stale_form: Message {
        title: "Dieses Formular gilt nicht mehr",
        text: "Sie haben sich seither an- oder abgemeldet. Es wurde nichts getan. Gehen Sie zurück, laden Sie die Seite neu und wiederholen Sie den Schritt.",
    },
    foreign_origin: Message {
        title: "Das kam nicht von der Konsole",
        text: "Eine andere Website hat diese Anfrage gesendet, oder ein Proxy verändert die Adresse. Es wurde nichts getan. Für den Betrieb: console.public_url muss die Adresse im Browser sein.",
    },
    bad_request: Message {
        title: "Diese Anfrage ist nicht lesbar",
        text: "Die Adresse oder ein Formular enthält etwas Unverständliches. Es wurde nichts getan.",
    },
    too_large: Message {
        title: "Das ist zu viel",
        text: "Das Formular enthält mehr, als angenommen wird. Es wurde nichts getan.",
    },
    method_not_allowed: Message {
        title: "Das geht hier nicht",
        text: "Die Adresse gibt es, aber sie lässt sich so nicht benutzen. Es wurde nichts getan.",
    },
    busy: Message {
        title: "Im Augenblick überlastet",
        text: "Es wird mehr gefragt, als beantwortet werden kann. Bitte versuchen Sie es in einigen Sekunden noch einmal.",
    },
    too_many_lookups: Message {
        title: "Zu viele Suchen",
        text: "Sie haben mehr Nummern gesucht oder mehr Verifizierungen geöffnet, als eine Person es üblicherweise tut. Bitte warten Sie eine Minute. Der Betrieb wurde benachrichtigt.",
    },
    stopping: Message {
        title: "twotick wird gerade beendet",
        text: "Bitte versuchen Sie es noch einmal, sobald es wieder läuft, meist innerhalb einer Minute.",
    },
    full: Message {
        title: "Auf der Festplatte ist kein Platz",
        text: "Nichts kann festgehalten werden, deshalb wurde nichts getan. Der Betrieb muss Platz schaffen.",
    },
    internal: Message {
        title: "Etwas ist defekt",
        text: "Es steht im Protokoll des Servers. Bitte sagen Sie dem Betrieb, wann es geschah.",
    },
};
