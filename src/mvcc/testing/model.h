// What a shard should hold, in the plainest form: a map now, and a copy of it for every revision.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "mvcc/command.h"

namespace kvstore::mvcc::testing {

struct ModelRecord {
    Bytes value;
    std::uint64_t create_revision = 0;
    std::uint64_t mod_revision = 0;
    std::uint64_t version_count = 0;
    std::uint64_t expires_at_ms = 0;
    std::uint64_t lease = 0;

    friend bool operator==(const ModelRecord&, const ModelRecord&) = default;
};

// Runs on   Anything; a value.
// Never     Shares code with what it is the model of.
class Model {
public:
    using Map = std::map<Bytes, ModelRecord>;

    struct Told {
        Code code = Code::kOk;
        bool changed = false;
        std::int64_t number = 0;
    };

    explicit Model(std::uint64_t history_ms) : history_ms_(history_ms) { past_[0] = {}; }

    // Whether the conditions held goes to `held`.
    std::vector<Told> apply(const Command& command, bool* held);

    [[nodiscard]] const Map& now() const { return now_; }
    // Requires: compacted() <= revision <= revision().
    [[nodiscard]] const Map& at(std::uint64_t revision) const { return past_.at(revision); }
    [[nodiscard]] std::uint64_t revision() const { return revision_; }
    [[nodiscard]] std::uint64_t compacted() const { return compacted_; }
    [[nodiscard]] std::uint64_t stamp() const { return stamp_; }
    [[nodiscard]] bool is_visible(const ModelRecord& record, std::uint64_t now_ms) const {
        return record.expires_at_ms == 0 || record.expires_at_ms > now_ms;
    }

private:
    Told apply_one(const Operation& operation);
    Told write(const Operation& operation, Bytes value);
    Told erase_range(const Operation& operation);
    Told move(const Operation& operation);
    Told set_expiry(const Operation& operation);
    [[nodiscard]] bool holds(ByteView key, const Condition& condition) const;
    [[nodiscard]] const ModelRecord* visible(ByteView key) const;
    void store(ByteView key, ModelRecord record);
    void erase(ByteView key);
    void begin_change();

    Map now_;
    std::map<std::uint64_t, Map> past_;
    std::uint64_t history_ms_;
    std::uint64_t revision_ = 0;
    std::uint64_t compacted_ = 0;
    std::uint64_t stamp_ = 0;
    bool changed_ = false;
};

}  // namespace kvstore::mvcc::testing
