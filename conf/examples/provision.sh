#!/bin/sh
# Onboards a customer over the API: a mail identity under the customer's own domain, made with one request; then
# waits until DNS proves the domain, sends a test and shows what became of it.
#
#     GATEPOST_URL=https://mail.example.com:2580 GATEPOST_KEY=… sh provision.sh TENANT DOMAIN LOCAL_PART RECIPIENT
#
# Run it again whenever it was interrupted: what is done stays done, and nothing is made twice.
# Needs curl 7.76 or later and python3. GATEPOST_WAIT: seconds to wait for DNS (3600), GATEPOST_EVERY: between two
# looks (15). Exit status: 0, 1 (a call was refused), 2 (usage), 3 (DNS did not show the records in time).
set -eu

if [ $# -ne 4 ] || [ -z "${GATEPOST_URL:-}" ] || [ -z "${GATEPOST_KEY:-}" ]; then
    echo "usage: GATEPOST_URL=… GATEPOST_KEY=… $0 TENANT DOMAIN LOCAL_PART RECIPIENT" >&2
    exit 2
fi
tenant=$1 domain=$2 local_part=$3 recipient=$4
wait_seconds=${GATEPOST_WAIT:-3600}
every_seconds=${GATEPOST_EVERY:-15}

# call METHOD PATH [BODY [IDEMPOTENCY-KEY]]: the JSON of the reply. The key stands in no argument list: others on
# this machine could read it there.
call() {
    printf 'header = "Authorization: Bearer %s"\n' "$GATEPOST_KEY" |
        curl --config - --silent --show-error --fail-with-body --request "$1" \
            --header 'Content-Type: application/json' ${4:+--header "Idempotency-Key: $4"} \
            ${3:+--data-binary "$3"} "$GATEPOST_URL$2"
}

# The bodies of the two requests, as JSON.
provision_body() {
    python3 -c '
import json, sys
tenant, domain, local_part = sys.argv[1:]
print(json.dumps({
    "tenant": {"name": tenant},
    "domain": domain,
    "account": {"local_part": local_part, "client_id": f"provision:{local_part}@{domain}"},
    "protocols": {"smtp": True},
    "app_password": True,
}))' "$tenant" "$domain" "$local_part"
}

message_body() {
    python3 -c '
import json, sys
recipient, domain = sys.argv[1:]
print(json.dumps({
    "to": [recipient],
    "subject": f"A test of {domain}",
    "text": f"If this arrived, {domain} sends through Gatepost.",
}))' "$recipient" "$domain"
}

# show EXPRESSION: from JSON on standard input, called `it` in a Python expression; rows of a list are lines.
show() {
    python3 -c '
import json, sys
it = json.load(sys.stdin)
found = eval(sys.argv[1])
rows = found if isinstance(found, list) else [found]
print("\n".join("" if row is None else str(row) for row in rows))' "$1"
}

# refused REPLY: says why, and what to do, and ends.
refused() {
    printf '%s' "$1" | show '"Refused: %s\n%s" % (it["detail"], it["fix"])' >&2 || printf '%s\n' "$1" >&2
    exit 1
}

made=$(call POST /v1/provision "$(provision_body)") || refused "$made"

grant=$(printf '%s' "$made" | show 'it["grant_id"]')
domain_id=$(printf '%s' "$made" | show 'it["domain"]["id"]')
password=$(printf '%s' "$made" | show 'it["app_password"]')
echo "Tenant:   $tenant ($(printf '%s' "$made" | show 'it["tenant_id"]'))"
echo "Account:  $(printf '%s' "$made" | show 'it["address"]') (grant $grant)"
echo "Login:    $(printf '%s' "$made" | show 'it["login"]')"
if [ -n "$password" ]; then
    echo "Password: $password   (shown this once)"
else
    echo "Password: as it was. $(printf '%s' "$made" | show 'it["fix"]')"
fi

echo
echo "Publish in the zone of $domain (name, type, value):"
printf '%s' "$made" | show '[
    "    %s\t%s\t%s" % (one["name"], one["type"], one["value"])
    for one in it["domain"]["records"] if one["publisher"] == "customer"]'

echo
echo "Waiting up to $wait_seconds s for DNS …"
waited=0
while :; do
    # A look now; a domain that was looked at just now tells what was found then.
    looked=$(call POST "/v1/domains/$domain_id/verify" 2>/dev/null) ||
        looked=$(call GET "/v1/domains/$domain_id/verify") || refused "$looked"
    state=$(printf '%s' "$looked" | show 'it["domain"]["state"]')
    [ "$state" = active ] && break
    if [ "$waited" -ge "$wait_seconds" ]; then
        echo "$domain is still $state. Not there yet:" >&2
        printf '%s' "$looked" | show '[
            "    %s %s is %s" % (one["name"], one["type"], one["state"])
            for one in it["records"] if one["required"] and one["state"] not in ("valid", "unchecked")]' >&2
        exit 3
    fi
    sleep "$every_seconds"
    waited=$((waited + every_seconds))
done
account=$(call GET "/v1/accounts/$grant") || refused "$account"
echo "$domain is active: the account is $(printf '%s' "$account" | show 'it["address"]') now."

sent=$(call POST "/v1/accounts/$grant/messages" "$(message_body)" "provision-test:$grant") || refused "$sent"
message=$(printf '%s' "$sent" | show 'it["id"]')
echo
echo "Sent message $message to $recipient. What became of it:"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    became=$(call GET "/v1/messages/$message") || refused "$became"
    open=$(printf '%s' "$became" | show 'sum(
        one["state"] not in ("delivered", "bounced", "expired", "dropped", "held") for one in it["recipients"])')
    [ "$open" = 0 ] && break
    sleep 1
done
printf '%s' "$became" | show '[
    "    %s: %s %s" % (one["recipient"], one["state"], one["last_reply"] or "") for one in it["recipients"]]'
