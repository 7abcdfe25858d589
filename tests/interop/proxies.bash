# The part `proxies` of `run`, which reads this file: everything once more, behind reverse proxies.

# In seconds, in the place of the minute of the configurations.
idle=2

# Sets `proxies` to those that are here.
install_proxies() {
    # Where Debian has them, and users who are not root do not look.
    PATH="$PATH:/usr/sbin"
    proxies=()
    local proxy package
    for proxy in nginx apache2 haproxy caddy; do
        package=$proxy
        # Without the service.
        if [[ $proxy == apache2 ]]; then package=apache2-bin; fi
        if provide command -v "$proxy" -- "$package"; then
            proxies+=("$proxy")
        else
            echo "!! interop: $proxy is NOT TESTED: on Debian \`apt install $package\` provides it"
        fi
    done
}

# Ports below those that Linux gives to clients, so that they stay free until they are listened at.
free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys

ports = []
while len(ports) < int(sys.argv[1]):
    port = random.randrange(20000, 32768)
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        continue
    ports.append(port)
print(*ports)
PYTHON
}

# start_proxy PROXY UPSTREAM: starts a proxy with its configuration of examples/proxy, but for the
# addresses and the idle time; sets `child`, `plain` and `secured`.
start_proxy() {
    local directory="$scratch/$1.$2" file idle_time command substitutions value port tenths
    case $1 in
        nginx)
            file=nginx.conf
            idle_time='proxy_read_timeout 60s'
            command=(nginx -p . -c "$file")
            ;;
        apache2)
            file=httpd.conf
            idle_time='Timeout 60'
            command=(apache2 -d "$directory" -f "$file" -DFOREGROUND)
            ;;
        haproxy)
            file=haproxy.cfg
            idle_time='timeout tunnel 60s'
            command=(haproxy -W -f "$file")
            ;;
        caddy)
            file=Caddyfile
            # It has none.
            idle_time=
            command=(caddy run --config "$file")
            ;;
    esac
    # What the substitution does not find would stay as it is, and lead to another program's port.
    for value in :8080 :8443 127.0.0.1:9014 "$idle_time"; do
        if ! grep -qF -- "$value" "examples/proxy/$file"; then
            echo "examples/proxy/$file has no $value" >&2
            exit 1
        fi
    done
    mkdir -m 755 "$directory"
    cp "$certificate" "$directory/site.pem"
    cp "$scratch/key.pem" "$directory/site.pem.key"
    read -r plain secured <<<"$(free_ports 2)"
    substitutions="s/:8080/:$plain/; s/:8443/:$secured/; s/127\.0\.0\.1:9014/$2/"
    if [[ $idle_time ]]; then substitutions+="; s/$idle_time/${idle_time/60/$idle}/"; fi
    sed "$substitutions" "examples/proxy/$file" >"$directory/$file"

    HOME="$directory" env -C "$directory" "${command[@]}" </dev/null >"$directory/$1.err" 2>&1 &
    child=$!
    children+=("$child")
    for port in "$plain" "$secured"; do
        for ((tenths = 0; tenths < start_seconds * 10; tenths++)); do
            # Only whether it listens: a request would go on to a server that may not be there yet.
            if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
            kill -0 "$child" 2>/dev/null || break
            sleep 0.1
        done
        echo "$1 does not listen at $port" >&2
        cat "$directory/$1.err" >&2
        exit 1
    done
}

# stop_proxy PID
stop_proxy() {
    kill -TERM "$1"
    if ended "$1"; then return; fi
    echo "a proxy still runs $stop_seconds s after SIGTERM"
    failures=$((failures + 1))
}

# The foreign clients, and our server behind each proxy in turn.
clients_through_proxies() {
    # Longer messages show nothing else here, and take their time.
    local max_message=$((4 * 1024 * 1024)) proxy server proxy_child
    # Upgrade and Connection are between two neighbours, and a proxy answers with its own.
    local skipped=plain_http_gets_426
    # A proxy drops a connection that the server has ended: a client that still sends by then may be
    # reset before it has read the Close.
    skipped+=,a_message_over_the_limit_closes_with_1009,fragments_over_the_limit_close_with_1009
    skipped+=,text_that_ends_inside_a_character_closes_with_1007
    build_echo_server
    for proxy in "${proxies[@]}"; do
        start_server server "$echo_server" --adapter tokio \
            --listen 127.0.0.1:0 --max-message "$max_message"
        server=$child
        start_proxy "$proxy" "${url#ws://}"
        proxy_child=$child
        for url in "ws://127.0.0.1:$plain" "wss://127.0.0.1:$secured"; do
            run_clients "echo_server behind $proxy, ${url%%:*}" --skip "$skip,$skipped"
        done
        stop_under_clients "echo_server behind $proxy" "$server"
        stop_proxy "$proxy_child"
    done
}

# Our clients, and behind each proxy a foreign server, then ours, which the test itself makes.
our_clients_through_proxies() {
    local proxy upstream behind patience peers=() doors=() running=()
    start_server upstream python3 "$here/server.py"
    upstream=${url#ws://}
    for proxy in "${proxies[@]}"; do
        start_proxy "$proxy" "$upstream"
        running+=("$child")
        peers+=("$proxy=ws://127.0.0.1:$plain" "$proxy-tls=wss://127.0.0.1:$secured")
        behind=$(free_ports 1)
        start_proxy "$proxy" "127.0.0.1:$behind"
        running+=("$child")
        patience=$idle
        if [[ $proxy == caddy ]]; then patience=0; fi
        doors+=("$proxy=$plain,$secured,$behind,$patience")
    done
    export FRAMEWRIGHT_INTEROP_PEERS="${peers[*]}" FRAMEWRIGHT_INTEROP_CA="$certificate"
    export FRAMEWRIGHT_INTEROP_PROXIES="${doors[*]}"
    test_clients "our clients against python websockets and our server behind ${proxies[*]}"
    for child in "${running[@]}"; do stop_proxy "$child"; done
}

proxies_part() {
    install_proxies
    if ((${#proxies[@]} == 0)); then return; fi
    make_certificate
    clients_through_proxies
    our_clients_through_proxies
}
