// CLIENT: what is known of connections, and what can be done to them.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {
namespace {

std::string flags_of(Session& session) {
    std::string flags;
    flags += session.transaction().is_open() ? "x" : "";
    flags += session.is_readonly() ? "r" : "";
    return flags.empty() ? "N" : flags;
}

std::string describe(Session& session, std::uint64_t now_ms, std::uint64_t turn_ms) {
    constexpr std::uint64_t kSecond = 1000;
    const Session::Facts& facts = session.facts();
    const TransactionQueue& queue = session.transaction();
    std::string text = "id=" + std::to_string(session.id());
    text += " addr=" + session.connection().peer().to_string();
    text += " laddr=" + session.connection().local().to_string();
    text += " fd=-1 name=" + facts.name;
    text += " age=" + std::to_string((now_ms - std::min(now_ms, facts.connected_ms)) / kSecond);
    text += " idle=" + std::to_string((turn_ms - std::min(turn_ms, facts.last_used_ms)) / kSecond);
    text += " flags=" + flags_of(session);
    text += " db=" + std::to_string(session.database());
    text += " sub=0 psub=0 ssub=0 multi=";
    text += queue.is_open() ? std::to_string(queue.size()) : "-1";
    text += " qbuf=" + std::to_string(session.input_size());
    text += " qbuf-free=0 argv-mem=0 multi-mem=" + std::to_string(queue.byte_count());
    text += " rbs=0 rbp=0 obl=0 oll=0 omem=" + std::to_string(session.output_size());
    text += " tot-mem=" + std::to_string(session.input_size() + session.output_size());
    text += " events=r cmd=" + std::string(facts.last_command);
    text += " user=default redir=-1 resp=";
    text += session.protocol() == Protocol::kResp2 ? "2" : "3";
    text += " lib-name=" + facts.library_name + " lib-ver=" + facts.library_version;
    return text;
}

std::string describe(Call& call, Session& session) {
    return describe(session, call.now_ms(), call.core().turn_ms());
}

Outcome client_id(Call& call) {
    return call.integer(static_cast<std::int64_t>(call.session().id()));
}

Outcome client_getname(Call& call) {
    const std::string& name = call.session().facts().name;
    if (name.empty()) {
        call.reply().null();
    } else {
        call.reply().bulk(name);
    }
    return Outcome::kReplied;
}

Outcome client_setname(Call& call) {
    if (!is_client_name(call[2])) {
        return call.fail(kBadClientName);
    }
    call.session().facts().name = call[2];
    return call.ok();
}

Outcome client_setinfo(Call& call) {
    Session::Facts& facts = call.session().facts();
    const bool is_name = equals_ignoring_case(call[2], "lib-name");
    if (!is_name && !equals_ignoring_case(call[2], "lib-ver")) {
        return call.fail("ERR Unrecognized option '" + std::string(call[2]) + "'");
    }
    if (!is_client_name(call[3])) {
        return call.fail("ERR " + lower_case(call[2]) +
                         " cannot contain spaces, newlines or special characters.");
    }
    (is_name ? facts.library_name : facts.library_version) = call[3];
    return call.ok();
}

Outcome client_info(Call& call) {
    call.reply().verbatim(describe(call, call.session()) + "\n");
    return Outcome::kReplied;
}

Outcome client_list(Call& call) {
    std::vector<std::uint64_t> ids;
    bool wants_none = false;
    if (call.size() > 2) {
        if (equals_ignoring_case(call[2], "type") && call.size() == 4) {
            const std::string type = lower_case(call[3]);
            if (type != "normal" && type != "master" && type != "replica" && type != "slave" &&
                type != "pubsub") {
                return call.fail("ERR Unknown client type '" + std::string(call[3]) + "'");
            }
            wants_none = type != "normal";
        } else if (equals_ignoring_case(call[2], "id") && call.size() > 3) {
            for (std::size_t at = 3; at < call.size(); ++at) {
                const auto id = parse_uint64(call[at]);
                if (!id || *id == 0) {
                    return call.fail("ERR Invalid client ID");
                }
                ids.push_back(*id);
            }
        } else {
            return call.syntax_error();
        }
    }
    std::vector<std::string> lines;
    for (Session* session = call.core().first_session(); session != nullptr;
         session = session->next) {
        if (!wants_none && (ids.empty() || std::ranges::count(ids, session->id()) > 0)) {
            lines.push_back(describe(call, *session) + "\n");
        }
    }
    std::string text;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        text += *line;
    }
    call.reply().verbatim(text);
    return Outcome::kReplied;
}

struct KillFilter {
    std::optional<std::uint64_t> id;
    std::optional<std::string> address;
    std::optional<std::string> local_address;
    bool skips_me = true;
    bool wants_none = false;

    [[nodiscard]] bool matches(const Session& session, const Session& me) const {
        return !wants_none && (!id || *id == session.id()) &&
               (!address || *address == session.connection().peer().to_string()) &&
               (!local_address || *local_address == session.connection().local().to_string()) &&
               (!skips_me || &session != &me);
    }
};

// False: the error was replied.
bool take_kill_filter(Call& call, KillFilter& filter) {
    if (call.size() % 2 != 0) {
        call.syntax_error();
        return false;
    }
    for (std::size_t at = 2; at < call.size(); at += 2) {
        const std::string word = lower_case(call[at]);
        const ByteView value = call[at + 1];
        if (word == "id") {
            filter.id = parse_uint64(value);
            if (!filter.id || *filter.id == 0) {
                call.fail("ERR client-id should be greater than 0");
                return false;
            }
        } else if (word == "addr") {
            filter.address = value;
        } else if (word == "laddr") {
            filter.local_address = value;
        } else if (word == "type") {
            const std::string type = lower_case(value);
            filter.wants_none = type != "normal";
        } else if (word == "user") {
            if (value != "default") {
                call.fail("ERR No such user '" + std::string(value) + "'");
                return false;
            }
        } else if (word == "skipme" &&
                   (equals_ignoring_case(value, "yes") || equals_ignoring_case(value, "no"))) {
            filter.skips_me = equals_ignoring_case(value, "yes");
        } else {
            call.syntax_error();
            return false;
        }
    }
    return true;
}

void kill(Call& call, Session& session) {
    if (&session == &call.session()) {
        session.close_after_replies();
    } else {
        session.close_now();
    }
}

Outcome client_kill(Call& call) {
    KillFilter filter;
    const bool is_old_form = call.size() == 3;
    if (is_old_form) {
        filter.address = call[2];
        filter.skips_me = false;
    } else if (!take_kill_filter(call, filter)) {
        return Outcome::kReplied;
    }
    std::int64_t count = 0;
    for (Session* session = call.core().first_session(); session != nullptr;) {
        Session* const next = session->next;
        if (filter.matches(*session, call.session())) {
            kill(call, *session);
            ++count;
        }
        session = next;
    }
    if (!is_old_form) {
        return call.integer(count);
    }
    return count > 0 ? call.ok() : call.fail("ERR No such client");
}

Outcome client_reply(Call& call) {
    if (equals_ignoring_case(call[2], "on")) {
        call.session().use_reply_mode(ReplyMode::kOn);
        return call.ok();
    }
    if (equals_ignoring_case(call[2], "off")) {
        call.session().use_reply_mode(ReplyMode::kOff);
        return Outcome::kReplied;
    }
    if (equals_ignoring_case(call[2], "skip")) {
        if (call.session().reply_mode() != ReplyMode::kOff) {
            call.session().use_reply_mode(ReplyMode::kSkipNext);
        }
        return Outcome::kReplied;
    }
    return call.syntax_error();
}

Outcome client_pause(Call& call) {
    const auto span = parse_int64(call[2]);
    if (!span) {
        return call.fail("ERR timeout is not an integer or out of range");
    }
    if (*span < 0) {
        return call.fail("ERR timeout is negative");
    }
    if (call.size() > 3 && !equals_ignoring_case(call[3], "write") &&
        !equals_ignoring_case(call[3], "all")) {
        return call.fail("ERR CLIENT PAUSE mode must be WRITE or ALL");
    }
    call.core().pause_until(call.now_ms() + static_cast<std::uint64_t>(*span));
    return call.ok();
}

Outcome client_unpause(Call& call) {
    call.core().pause_until(0);
    return call.ok();
}

// CLIENT CONSISTENCY [level [max-staleness]]
Outcome client_consistency(Call& call) {
    Session& session = call.session();
    if (call.size() == 2) {
        call.reply().bulk(kv::consistency_name(session.reads().consistency));
        return Outcome::kReplied;
    }
    const auto level = kv::parse_consistency(lower_case(call[2]));
    if (!level) {
        return call.fail("ERR CLIENT CONSISTENCY is linearizable, causal, bounded or eventual");
    }
    Duration max_staleness = kv::kMaxStalenessDefault;
    if (call.size() > 3) {
        const auto span = parse_duration(call[3]);
        if (call.size() > 4 || *level != kv::Consistency::kBounded) {
            return call.syntax_error();
        }
        if (!span || *span < Duration(0)) {
            return call.fail("ERR max staleness is no duration such as 500ms or 5s");
        }
        max_staleness = *span;
    }
    return use_consistency(call, *level, max_staleness);
}

// CLIENT SESSION [token]
Outcome client_session(Call& call) {
    if (call.is_in_transaction()) {
        return call.fail("ERR CLIENT SESSION is not supported inside MULTI");
    }
    // It covers whatever was asked before.
    if (call.session().has_slots()) {
        return Outcome::kNotNow;
    }
    kv::SessionToken& session = *call.session().reads().session;
    if (call.size() == 2) {
        call.reply().bulk(session.text());
        return Outcome::kReplied;
    }
    if (call.size() > 3) {
        return call.syntax_error();
    }
    const auto other = kv::SessionToken::parse(call[2]);
    if (!other.ok()) {
        call.reply().status(other.status());
        return Outcome::kReplied;
    }
    session.merge(*other);
    return call.ok();
}

bool* flag_of(Session::Facts& facts, std::string_view name) {
    return name == "no-evict" ? &facts.is_no_evict : &facts.is_no_touch;
}

Outcome client_flag(Call& call) {
    const bool is_on = equals_ignoring_case(call[2], "on");
    if (!is_on && !equals_ignoring_case(call[2], "off")) {
        return call.syntax_error();
    }
    *flag_of(call.session().facts(), lower_case(call[1])) = is_on;
    return call.ok();
}

Outcome client_nothing_blocked(Call& call) {
    return call.integer(0);
}

Outcome client_no_redirection(Call& call) {
    return call.integer(-1);
}

Outcome client_help(Call& call) {
    static constexpr auto kLines = std::to_array<std::string_view>({
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSISTENCY, GETNAME, GETREDIR, ID, INFO, KILL, LIST, NO-EVICT, NO-TOUCH, PAUSE,",
        "REPLY, SESSION, SETINFO, SETNAME, UNBLOCK, UNPAUSE",
        "HELP",
        "    Prints this help.",
    });
    call.reply().array(kLines.size());
    for (const std::string_view line : kLines) {
        call.reply().simple(line);
    }
    return Outcome::kReplied;
}

constexpr auto kSubcommands = std::to_array<Subcommand>({
    {"consistency", -2, client_consistency},
    {"getname", 2, client_getname},
    {"getredir", 2, client_no_redirection},
    {"help", 2, client_help},
    {"id", 2, client_id},
    {"info", 2, client_info},
    {"kill", -3, client_kill},
    {"list", -2, client_list},
    {"no-evict", 3, client_flag},
    {"no-touch", 3, client_flag},
    {"pause", -3, client_pause},
    {"reply", 3, client_reply},
    {"session", -2, client_session},
    {"setinfo", 4, client_setinfo},
    {"setname", 3, client_setname},
    {"unblock", -3, client_nothing_blocked},
    {"unpause", 2, client_unpause},
});

}  // namespace

Outcome client_command(Call& call) {
    return run_subcommand(call, kSubcommands);
}

}  // namespace kvstore::resp
