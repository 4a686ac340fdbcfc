// Commands on the connection itself.
#include <optional>
#include <string>
#include <utility>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {
namespace {

constexpr std::string_view kWrongPassword =
    "WRONGPASS invalid username-password pair or user is disabled.";

// There are no users yet: only `default`, which has no password and takes any.
bool is_default_user(ByteView name) {
    return name == "default";
}

struct HelloOptions {
    Protocol protocol = Protocol::kResp2;
    std::optional<ByteView> name;
};

// False: the error was replied.
bool take_hello_options(Call& call, HelloOptions& options) {
    if (call.size() > 1) {
        const auto version = parse_int64(call[1]);
        if (!version) {
            call.fail("ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (*version != 2 && *version != 3) {
            call.fail("NOPROTO unsupported protocol version");
            return false;
        }
        options.protocol = *version == 2 ? Protocol::kResp2 : Protocol::kResp3;
    }
    for (std::size_t at = 2; at < call.size(); ++at) {
        const std::size_t left = call.size() - 1 - at;
        if (equals_ignoring_case(call[at], "auth") && left >= 2) {
            if (!is_default_user(call[at + 1])) {
                call.fail(kWrongPassword);
                return false;
            }
            at += 2;
        } else if (equals_ignoring_case(call[at], "setname") && left >= 1) {
            options.name = call[++at];
            if (!is_client_name(*options.name)) {
                call.fail(kBadClientName);
                return false;
            }
        } else {
            call.fail("ERR Syntax error in HELLO option '" + std::string(call[at]) + "'");
            return false;
        }
    }
    return true;
}

async::Task<void> make_database(AwaitedCall* call) {
    const auto number = parse_int64(call->arguments()[1]);
    const auto database = static_cast<unsigned>(number.value_or(0));
    const kv::CallContext context;
    auto keyspace = co_await call->core.kv().ensure_keyspace(context, database_name(database));
    if (!keyspace.ok()) {
        call->reply.status(keyspace.status());
        co_return;
    }
    if (call->session() != nullptr) {
        call->session()->select(database, *std::move(keyspace));
    }
    call->reply.ok();
}

}  // namespace

bool is_client_name(ByteView name) {
    for (const char c : name) {
        if (c < '!' || c > '~') {
            return false;
        }
    }
    return true;
}

Outcome ping_command(Call& call) {
    if (call.size() > 2) {
        return call.fail("ERR wrong number of arguments for 'ping' command");
    }
    if (call.size() == 2) {
        call.reply().bulk(call[1]);
    } else {
        call.reply().simple("PONG");
    }
    return Outcome::kReplied;
}

Outcome echo_command(Call& call) {
    call.reply().bulk(call[1]);
    return Outcome::kReplied;
}

Outcome quit_command(Call& call) {
    call.session().close_after_replies();
    return call.ok();
}

Outcome reset_command(Call& call) {
    call.session().reset();
    call.reply().simple("RESET");
    return Outcome::kReplied;
}

Outcome auth_command(Call& call) {
    if (call.size() > 3) {
        return call.syntax_error();
    }
    if (call.size() == 2) {
        return call.fail(
            "ERR AUTH <password> called without any password configured for the default user. Are "
            "you sure your configuration is correct?");
    }
    return is_default_user(call[1]) ? call.ok() : call.fail(kWrongPassword);
}

Outcome hello_command(Call& call) {
    Session& session = call.session();
    HelloOptions options{.protocol = session.protocol(), .name = {}};
    if (!take_hello_options(call, options)) {
        return Outcome::kReplied;
    }
    session.use_protocol(options.protocol);
    if (options.name) {
        session.facts().name = *options.name;
    }
    ReplyWriter reply = session.writer(call.reply().bytes());
    reply.map(7);
    reply.bulk("server");
    reply.bulk("redis");
    reply.bulk("version");
    reply.bulk(kRedisVersion);
    reply.bulk("proto");
    reply.integer(static_cast<std::int64_t>(options.protocol));
    reply.bulk("id");
    reply.integer(static_cast<std::int64_t>(session.id()));
    reply.bulk("mode");
    reply.bulk("standalone");
    reply.bulk("role");
    reply.bulk("master");
    reply.bulk("modules");
    reply.array(0);
    return Outcome::kReplied;
}

Outcome use_consistency(Call& call, kv::Consistency level, Duration max_staleness) {
    // Reads that wait behind writes were asked at the level before.
    if (call.session().has_slots() && !call.is_in_transaction()) {
        return Outcome::kNotNow;
    }
    call.session().use_consistency(level, max_staleness);
    return call.ok();
}

// Reads of the replica here, which may be behind, but never before what this connection has seen.
Outcome readonly_command(Call& call) {
    return use_consistency(call, kv::Consistency::kCausal);
}

Outcome readwrite_command(Call& call) {
    return use_consistency(call, kv::Consistency::kLinearizable);
}

Outcome select_command(Call& call) {
    Session& session = call.session();
    const auto number = parse_int64(call[1]);
    if (!number) {
        return call.fail("ERR value is not an integer or out of range");
    }
    if (*number < 0 || *number >= static_cast<std::int64_t>(call.core().options().databases)) {
        return call.fail("ERR DB index is out of range");
    }
    const auto database = static_cast<unsigned>(*number);
    if (database == session.database()) {
        return call.ok();
    }
    if (call.is_in_transaction()) {
        return call.fail("ERR SELECT of another database inside MULTI is not supported");
    }
    // Shards answer at their own pace: what was asked of one is finished before the next is asked,
    // or a read could see a write behind it.
    if (session.has_slots()) {
        return Outcome::kNotNow;
    }
    kv::KeyspaceHandle keyspace = call.kv().find_keyspace(database_name(database));
    if (keyspace == nullptr) {
        return call.await(make_database);
    }
    session.select(database, std::move(keyspace));
    return call.ok();
}

Outcome swapdb_command(Call& call) {
    return call.fail("ERR SWAPDB is not supported: databases are keyspaces of their own");
}

}  // namespace kvstore::resp
