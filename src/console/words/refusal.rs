//! The pages that say why a page is refused.

use crate::console::Refusal;

words! {
    texts {
        home: "To the list of verifications", "Zur Liste der Verifizierungen";
        /// Before the command that creates a hash, the lines for the file, and the command that checks it.
        make_hash: "Create the hash of a password of your choice:", "Machen Sie einen Hash aus einem Passwort Ihrer Wahl:";
        enter_user: "Add a user to the configuration:", "Tragen Sie eine Person in die Konfiguration ein:";
        restart: "Check it, then restart twotick:", "Prüfen Sie sie und starten Sie twotick neu:";
    }
    match title(&Refusal) {
        Refusal::NotFound => "There is nothing here", "Hier ist nichts";
        Refusal::Forbidden => "Your role does not allow this", "Ihre Rolle erlaubt das nicht";
        Refusal::SignInFirst => "Please sign in", "Bitte melden Sie sich an";
        Refusal::NoUsers => "The console has no user yet", "Für die Konsole ist noch niemand eingetragen";
        Refusal::StaleForm => "This form is no longer valid", "Dieses Formular gilt nicht mehr";
        Refusal::ForeignOrigin => "This request did not come from the console", "Das kam nicht von der Konsole";
        Refusal::BadRequest => "This request cannot be read", "Diese Anfrage ist nicht lesbar";
        Refusal::TooLarge => "The form is too large", "Das ist zu viel";
        Refusal::MethodNotAllowed => "This is not possible here", "Das geht hier nicht";
        Refusal::Busy(_) => "The server is busy", "Im Augenblick überlastet";
        Refusal::TooManyLookups(_) => "Too many searches", "Zu viele Suchen";
        Refusal::Stopping => "twotick is shutting down", "twotick wird gerade beendet";
        Refusal::Full => "The disk is full", "Auf der Festplatte ist kein Platz";
        Refusal::Internal => "Internal error", "Etwas ist defekt";
    }
    match text(&Refusal) {
        Refusal::NotFound => "The page does not exist, the verification was removed after its retention period, or it belongs to an app that you are not assigned to.", "Die Seite gibt es nicht, die Verifizierung wurde nach Ablauf ihrer Frist gelöscht, oder sie gehört zu einer App, die Sie nicht betreuen.";
        Refusal::Forbidden => "Ask an operator if you need it for your work.", "Wenden Sie sich an den Betrieb, wenn Sie es für Ihre Arbeit brauchen.";
        Refusal::SignInFirst => "Your session has ended: after 30 minutes without use, after 12 hours, or because you signed out.", "Ihre Sitzung ist beendet: nach 30 Minuten ohne Benutzung, nach 12 Stunden oder weil Sie sich abgemeldet haben.";
        Refusal::NoUsers => "It shows nothing until somebody can sign in. Create the first user in three steps:", "Sie zeigt nichts, bis sich jemand anmelden kann. Drei Schritte genügen:";
        Refusal::StaleForm => "You signed in or out since it was opened. Nothing was done. Go back, load the page again and repeat it.", "Sie haben sich seither an- oder abgemeldet. Es wurde nichts getan. Gehen Sie zurück, laden Sie die Seite neu und wiederholen Sie den Schritt.";
        Refusal::ForeignOrigin => "Another site sent this request, or a proxy changes the address. Nothing was done. Operators: console.public_url must be the address in the browser.", "Eine andere Website hat diese Anfrage gesendet, oder ein Proxy verändert die Adresse. Es wurde nichts getan. Für den Betrieb: console.public_url muss die Adresse im Browser sein.";
        Refusal::BadRequest => "The address or the form contains invalid data. Nothing was done.", "Die Adresse oder ein Formular enthält etwas Unverständliches. Es wurde nichts getan.";
        Refusal::TooLarge => "The form contains more data than is accepted. Nothing was done.", "Das Formular enthält mehr, als angenommen wird. Es wurde nichts getan.";
        Refusal::MethodNotAllowed => "The address exists but cannot be used in this way. Nothing was done.", "Die Adresse gibt es, aber sie lässt sich so nicht benutzen. Es wurde nichts getan.";
        Refusal::Busy(_) => "It has more requests than it can answer. Please try again in a few seconds.", "Es wird mehr gefragt, als beantwortet werden kann. Bitte versuchen Sie es in einigen Sekunden noch einmal.";
        Refusal::TooManyLookups(_) => "You searched for more numbers, or opened more verifications, than one person usually does. Please wait a minute. The operators have been notified.", "Sie haben mehr Nummern gesucht oder mehr Verifizierungen geöffnet, als eine Person es üblicherweise tut. Bitte warten Sie eine Minute. Der Betrieb wurde benachrichtigt.";
        Refusal::Stopping => "Please try again when it is back, normally within a minute.", "Bitte versuchen Sie es noch einmal, sobald es wieder läuft, meist innerhalb einer Minute.";
        Refusal::Full => "Nothing can be stored, so nothing was done. An operator has to free disk space.", "Nichts kann festgehalten werden, deshalb wurde nichts getan. Der Betrieb muss Platz schaffen.";
        Refusal::Internal => "The server's log has the details. Please tell an operator when it happened.", "Es steht im Protokoll des Servers. Bitte sagen Sie dem Betrieb, wann es geschah.";
    }
}
