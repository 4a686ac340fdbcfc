#include "cli/history_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>

#include "base/json_escape.h"
#include "base/parse.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

using history::MaybeValue;
using history::Operation;
using history::OperationKind;
using history::Outcome;

constexpr std::array<std::string_view, 20> kMembers{
    "client",          "operation", "key",
    "key_base64",      "value",     "expected",
    "expected_base64", "observed",  "observed_base64",
    "value_base64",    "by",        "number",
    "matched",         "outcome",   "call",
    "return",          "node",      "revision",
    "consistency",     "note"};

Status invalid(std::size_t column, const std::string& what) {
    return {Code::kInvalidArgument, "column " + std::to_string(column) + ": " + what};
}

// Where a member stands in its line. Within a string a quote is escaped, so a quoted name before a
// colon is a name.
std::size_t column_of(std::string_view line, std::string_view member) {
    const std::string quoted = '"' + std::string(member) + '"';
    for (std::size_t at = line.find(quoted); at != std::string_view::npos;
         at = line.find(quoted, at + 1)) {
        const std::size_t behind = line.find_first_not_of(" \t", at + quoted.size());
        if (behind != std::string_view::npos && line[behind] == ':') {
            return at + 1;
        }
    }
    return 1;
}

Result<json::object> parse_object(std::string_view line) {
    json::parser parser;
    boost::system::error_code error;
    const std::size_t read = parser.write_some(line.data(), line.size(), error);
    if (error) {
        return invalid(read + 1, "no JSON: " + error.message());
    }
    if (const auto rest = line.find_first_not_of(" \t\r", read); rest != std::string_view::npos) {
        return invalid(rest + 1, "more than one JSON value");
    }
    json::value value = parser.release();
    if (!value.is_object()) {
        return invalid(1, "no JSON object");
    }
    return std::move(value.as_object());
}

// The members of one line, with errors that say where.
class LineMembers {
public:
    LineMembers(std::string_view line, const json::object& members)
        : line_(line), members_(members) {}

    [[nodiscard]] Status fail(std::string_view name, const std::string& what) const {
        return invalid(column_of(line_, name), '\'' + std::string(name) + "' " + what);
    }
    [[nodiscard]] bool has(std::string_view name) const { return members_.contains(name); }

    [[nodiscard]] Status check_names() const {
        for (const auto& member : members_) {
            const std::string_view name(member.key().data(), member.key().size());
            if (std::ranges::find(kMembers, name) == kMembers.end()) {
                const std::string_view near = nearest_spelling(name, kMembers);
                return fail(name,
                            near.empty() ? "is no member of an operation"
                                         : "is unknown; is it '" + std::string(near) + "'?");
            }
        }
        return {};
    }

    // Errors: kInvalidArgument: missing, or of another type.
    template <typename Integer>
    Result<Integer> number(std::string_view name) const {
        const json::value* const value = members_.if_contains(name);
        if (value == nullptr) {
            return invalid(1, '\'' + std::string(name) + "' is missing");
        }
        boost::system::error_code error;
        const auto number = value->to_number<Integer>(error);
        if (error) {
            return fail(name, "must be a whole number");
        }
        return number;
    }
    template <typename Integer>
    Result<std::optional<Integer>> optional_number(std::string_view name) const {
        if (!has(name)) {
            return std::optional<Integer>();
        }
        KVSTORE_TRY(const Integer value, number<Integer>(name));
        return std::optional<Integer>(value);
    }

    Result<std::string_view> text(std::string_view name) const {
        const json::value* const value = members_.if_contains(name);
        if (value == nullptr) {
            return invalid(1, '\'' + std::string(name) + "' is missing");
        }
        if (!value->is_string()) {
            return fail(name, "must be a string");
        }
        return std::string_view(value->as_string().data(), value->as_string().size());
    }

    Result<bool> truth(std::string_view name) const {
        const json::value* const value = members_.if_contains(name);
        if (value == nullptr) {
            return invalid(1, '\'' + std::string(name) + "' is missing");
        }
        if (!value->is_bool()) {
            return fail(name, "must be true or false");
        }
        return value->as_bool();
    }

    // Bytes as `name` or `name`_base64; null is absent. nullopt: neither is there.
    Result<std::optional<MaybeValue>> bytes(const std::string& name) const {
        const std::string encoded = name + "_base64";
        if (has(name) && has(encoded)) {
            return fail(encoded, "and '" + name + "' exclude one another");
        }
        if (has(encoded)) {
            KVSTORE_TRY(const std::string_view text64, text(encoded));
            auto decoded = base64_decode(text64);
            if (!decoded) {
                return fail(encoded, "is no base64");
            }
            return std::optional<MaybeValue>(std::move(*decoded));
        }
        if (!has(name)) {
            return std::optional<MaybeValue>();
        }
        if (members_.at(name).is_null()) {
            return std::optional<MaybeValue>(std::in_place, std::nullopt);
        }
        KVSTORE_TRY(const std::string_view plain, text(name));
        return std::optional<MaybeValue>(std::in_place, Bytes(plain));
    }

    // One of the names that `find` knows.
    template <typename Enum>
    Result<Enum> choice(std::string_view name,
                        std::optional<Enum> (*find)(std::string_view) noexcept) const {
        KVSTORE_TRY(const std::string_view word, text(name));
        const auto found = find(word);
        if (!found) {
            return fail(name, "cannot be '" + std::string(word) + "'");
        }
        return *found;
    }

private:
    std::string_view line_;
    const json::object& members_;
};

Status read_question(const LineMembers& members, Operation& operation) {
    KVSTORE_TRY(const auto client, members.number<std::uint64_t>("client"));
    operation.client = history::ClientId(client);
    KVSTORE_TRY(operation.kind, members.choice("operation", history::find_kind));
    KVSTORE_TRY(auto key, members.bytes("key"));
    if (!key || !*key) {
        return invalid(1, "'key' is missing");
    }
    operation.key = std::move(**key);
    KVSTORE_TRY(auto value, members.bytes("value"));
    KVSTORE_TRY(auto expected, members.bytes("expected"));
    if (operation.kind == OperationKind::kCompareAndSet && (!value || !expected)) {
        return invalid(1, "a compare-and-set needs 'expected' and 'value'");
    }
    operation.argument = std::move(value).value_or(std::nullopt);
    operation.expected = std::move(expected).value_or(std::nullopt);
    if (operation.kind == OperationKind::kIncrement || members.has("by")) {
        KVSTORE_TRY(operation.delta, members.number<std::int64_t>("by"));
    }
    return {};
}

Status read_answer(const LineMembers& members, Operation& operation) {
    KVSTORE_TRY(operation.outcome, members.choice("outcome", history::find_outcome));
    KVSTORE_TRY(operation.observed, members.bytes("observed"));
    KVSTORE_TRY(operation.number, members.optional_number<std::int64_t>("number"));
    const bool is_ok = operation.outcome == Outcome::kOk;
    const bool needs_match = is_ok && operation.kind == OperationKind::kCompareAndSet;
    if (members.has("matched") || needs_match) {
        KVSTORE_TRY(operation.is_matched, members.truth("matched"));
    }
    KVSTORE_TRY(const auto called, members.number<std::int64_t>("call"));
    operation.called = MonotonicTime(Duration(called));
    operation.returned = operation.called;
    if (is_ok || members.has("return")) {
        KVSTORE_TRY(const auto returned, members.number<std::int64_t>("return"));
        operation.returned = MonotonicTime(Duration(returned));
    }
    return {};
}

Status read_circumstances(const LineMembers& members, Operation& operation) {
    KVSTORE_TRY(const auto node, members.optional_number<std::uint64_t>("node"));
    KVSTORE_TRY(const auto revision, members.optional_number<std::uint64_t>("revision"));
    if (node) {
        operation.node = NodeId(*node);
    }
    if (revision) {
        operation.revision = Revision(*revision);
    }
    if (members.has("consistency")) {
        KVSTORE_TRY(operation.consistency,
                    members.choice("consistency", history::find_consistency));
    }
    return {};
}

void put_bytes(json::object& to, const std::string& name, const MaybeValue& value) {
    if (!value) {
        to[name] = nullptr;
    } else if (is_utf8(*value)) {
        to[name] = *value;
    } else {
        to[name + "_base64"] = base64_encode(*value);
    }
}

}  // namespace

Result<Operation> parse_history_line(std::string_view line) {
    KVSTORE_TRY(const json::object object, parse_object(line));
    const LineMembers members(line, object);
    KVSTORE_CHECK_OK(members.check_names());
    Operation operation;
    KVSTORE_CHECK_OK(read_question(members, operation));
    KVSTORE_CHECK_OK(read_answer(members, operation));
    KVSTORE_CHECK_OK(read_circumstances(members, operation));
    if (const Status checked = history::check_operation(operation); !checked.ok()) {
        return invalid(column_of(line, "operation"), std::string(checked.message()));
    }
    return operation;
}

std::string format_history_line(const Operation& operation) {
    const OperationKind kind = operation.kind;
    const bool is_ok = operation.outcome == Outcome::kOk;
    json::object line;
    line["client"] = operation.client.value();
    line["operation"] = history::kind_name(kind);
    put_bytes(line, "key", operation.key);
    if (kind == OperationKind::kCompareAndSet) {
        put_bytes(line, "expected", operation.expected);
        put_bytes(line, "value", operation.argument);
    } else if (operation.argument) {
        put_bytes(line, "value", operation.argument);
    }
    if (kind == OperationKind::kIncrement) {
        line["by"] = operation.delta;
    }
    line["outcome"] = history::outcome_name(operation.outcome);
    if (is_ok && kind == OperationKind::kCompareAndSet) {
        line["matched"] = operation.is_matched;
    }
    if (operation.observed) {
        put_bytes(line, "observed", *operation.observed);
    }
    if (operation.number) {
        line["number"] = *operation.number;
    }
    line["call"] = operation.called.time_since_epoch().count();
    if (is_ok) {
        line["return"] = operation.returned.time_since_epoch().count();
    }
    if (operation.consistency) {
        line["consistency"] = history::consistency_name(*operation.consistency);
    }
    if (operation.revision) {
        line["revision"] = operation.revision->value();
    }
    if (operation.node) {
        line["node"] = operation.node->value();
    }
    return json::serialize(line);
}

Result<HistoryFile> read_history(LineReader& reader, Callback<void(const HistoryFile&)> on_line) {
    HistoryFile file;
    while (true) {
        KVSTORE_TRY(const auto line, reader.next());
        if (!line) {
            return file;
        }
        if (line->find_first_not_of(" \t\r") == std::string::npos) {
            continue;
        }
        auto operation = parse_history_line(*line);
        if (!operation.ok()) {
            return operation.status().with_context("line " + std::to_string(reader.line_number()));
        }
        file.history.push_back(*std::move(operation));
        file.lines.push_back(reader.line_number());
        on_line(file);
    }
}

}  // namespace kvstore::cli
