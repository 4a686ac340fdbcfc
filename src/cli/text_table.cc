#include "cli/text_table.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvstore::cli {

void TextTable::add(std::vector<std::string> row) {
    KVSTORE_ASSERT(rows_.empty() || row.size() == rows_.front().size());
    widths_.resize(row.size());
    for (std::size_t at = 0; at < row.size(); ++at) {
        widths_[at] = std::max(widths_[at], row[at].size());
    }
    rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
    std::string all;
    for (const std::vector<std::string>& row : rows_) {
        std::string line;
        for (std::size_t at = 0; at < row.size(); ++at) {
            line += row[at] + std::string(widths_[at] - row[at].size() + 2, ' ');
        }
        all += line.erase(line.find_last_not_of(' ') + 1) + "\n";
    }
    return all;
}

}  // namespace kvstore::cli
