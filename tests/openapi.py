"""Runs `twotick serve` and `twotick sandbox` on loopback, and uses the server as somebody would who has nothing but its
/openapi.json: validates the document, has a client generated, and calls with it. Exits 1 at the first thing wrong."""

import importlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

KEY = "openapi-key-0123456789"
APP_SECRET = "openapi-app-secret-0123456789"
REPORT_SECRET = "openapi-report-secret-0123456789"
PATIENCE = 20.0
"""Seconds for anything to happen; on a busy machine everything takes some of them."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(folder, public, admin, sandbox):
    return f"""
[server]
listen = "127.0.0.1:{public}"
admin_listen = "127.0.0.1:{admin}"
public_url = "http://127.0.0.1:{public}"
[store]
path = {json.dumps(str(folder / "data"))}
[keys]
master = {{ file = {json.dumps(str(folder / "master.key"))} }}
[[apps]]
name = "shop"
api_keys = ["{KEY}"]
[channels.whatsapp]
kind = "meta"
graph_url = "http://127.0.0.1:{sandbox}"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = "openapi-access-token"
app_secrets = ["{APP_SECRET}"]
verify_token = "openapi-verify-token"
[channels.sms]
kind = "http"
url = "http://127.0.0.1:{sandbox}/sms/send"
from = "Acme"
bearer = "openapi-bearer"
report_secret = "{REPORT_SECRET}"
[profiles.login]
brand = "Acme"
steps = [
  {{ channel = "whatsapp", template = "login_code", deliver_within = "30s" }},
  {{ channel = "sms", text = "otp" }},
]
[templates.login_code]
locales = {{ en = "en_US", de = "de" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code."
de = "{{code}} ist Ihr {{brand}}-Code."
"""


def until(what, look):
    """What `look` finds, once it finds something."""
    over = time.monotonic() + PATIENCE
    while time.monotonic() < over:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"no {what} within {PATIENCE:.0f} s")


def answers(url):
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def generated(document, folder):
    """The client that the generator makes of the document, as a module."""
    path = folder / "openapi.json"
    path.write_text(document)
    out = folder / "twotick_client"
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"]
    made = subprocess.run(
        [*command, "--path", path, "--output-path", out, "--fail-on-warning"],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    if made.returncode != 0:
        sys.exit(f"no client can be generated:\n{made.stdout}{made.stderr}")
    sys.path.insert(0, str(folder))
    return importlib.import_module("twotick_client")


def call(client, tag, operation, *ids, status, **rest):
    """Calls one operation of the generated client; what it made of the answer."""
    module = importlib.import_module(f"twotick_client.api.{tag}.{operation}")
    response = module.sync_detailed(*ids, client=client, **rest)
    if response.status_code != status:
        sys.exit(f"{operation} answered {response.status_code}, not {status}: {response.content.decode()}")
    if response.parsed is None and response.content:
        sys.exit(f"the client cannot read what {operation} answered: {response.content.decode()}")
    return response.parsed


def expect(what, found, right):
    if found != right:
        sys.exit(f"{what}: {found!r}, not {right!r}")


def use(package, api, phones):
    client = package.AuthenticatedClient(base_url=api, token=KEY)
    models = importlib.import_module("twotick_client.models")

    def create(number):
        body = models.CreateVerification(to=number, locale="de-AT", client_ref="order-17")
        return call(client, "verifications", "create_verification", body=body, status=201)

    def code_of(number):
        # What one handset got; the newest comes last.
        messages = httpx.get(f"{phones}/handsets/{number}").json()
        return next((message["code"] for message in reversed(messages) if message["code"]), None)

    made = create("+12025550100")
    expect("the locale that is sent", (made.locale, made.requested_locale), ("de", "de-AT"))
    expect("the state after a create", str(made.status), "pending")
    code = until("code on the phone", lambda: code_of("+12025550100"))
    read = call(client, "verifications", "read_verification", made.id, status=200)
    expect("what is read", (read.id, read.to, read.client_ref), (made.id, "+12025550100", "order-17"))

    def check(typed, status=200):
        body = models.CheckCode(code=typed)
        return call(client, "verifications", "check_code", made.id, body=body, status=status)

    expect("a code of letters", str(check("letters", status=422).code), "not_a_code")
    wrong = "000000" if code != "000000" else "000001"
    expect("a wrong code", str(check(wrong).result), "wrong_code")
    approved = check(f"{code[:3]} {code[3:]}")
    expect("the right code", (str(approved.result), str(approved.verification.status)), ("approved", "approved"))
    expect("the right code again", str(check(code).result), "already_approved")
    expect("another code after it", str(check(wrong).result), "wrong_code")
    timeline = call(client, "verifications", "read_timeline", made.id, status=200)
    expect("the first event", str(timeline.events[0].type_), "requested")

    other = create("+12025550101")
    canceled = call(client, "verifications", "cancel_verification", other.id, status=200)
    expect("a canceled one", str(canceled.status), "canceled")
    page = call(client, "verifications", "list_verifications", client_ref="order-17", status=200)
    expect("the list", [entry.id for entry in page.data], [other.id, made.id])
    call(client, "inbound", "list_inbound", status=200)
    lost = call(client, "verifications", "read_verification", "ver_nothing", status=404)
    expect("an unknown id", (str(lost.code), lost.status), ("not_found", 404))
    stranger = package.AuthenticatedClient(base_url=api, token="another-key-0123456789")
    refused = call(stranger, "verifications", "read_verification", made.id, status=401)
    expect("another key", str(refused.code), "unauthorized")
    for operation in ("alive", "ready"):
        call(client, "operation", operation, status=200)


def main(twotick):
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        public, admin, sandbox = (free_port() for _ in range(3))
        api, phones = (f"http://127.0.0.1:{port}" for port in (public, sandbox))
        config = folder / "config.toml"
        config.write_text(configuration(folder, public, admin, sandbox))
        stand_in = [twotick, "sandbox", "--listen", f"127.0.0.1:{sandbox}", "--app-secret", APP_SECRET]
        stand_in += ["--webhook-url", f"{api}/webhooks/whatsapp"]
        stand_in += ["--report-url", f"{api}/webhooks/sms", "--report-secret", REPORT_SECRET]
        log = (folder / "log").open("wb")
        commands = [stand_in, [twotick, "--config", config, "serve"]]
        running = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
        try:
            until("server", lambda: answers(f"{api}/readyz"))
            until("sandbox", lambda: answers(f"{phones}/handsets/+12025550100"))
            document = httpx.get(f"{api}/openapi.json").text
            errors = list(OpenAPIV31SpecValidator(json.loads(document)).iter_errors())
            if errors:
                sys.exit("\n".join(f"{'/'.join(map(str, error.path))}: {error.message[:300]}" for error in errors))
            use(generated(document, folder), api, phones)
        except BaseException:
            sys.stderr.write(re.sub(rb"(?m)^", b"  | ", (folder / "log").read_bytes()).decode(errors="replace"))
            raise
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(PATIENCE)
    print(f"the document is valid and a generated client works, {time.monotonic() - began:.1f} s")


main(sys.argv[1])
