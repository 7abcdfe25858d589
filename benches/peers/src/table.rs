//! Tables in Markdown, whose columns also line up as plain text.

/// Draws a table whose first line is its head, with the first `left` columns flush left.
pub(crate) fn draw(lines: &[Vec<String>], left: usize) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            table += &if column < left {
                format!("| {cell:<width$} ")
            } else {
                format!("| {cell:>width$} ")
            };
        }
        table += "|\n";
        if number == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let end = if column < left { '-' } else { ':' };
                table += &format!("|-{:-<width$}{end}", "");
            }
            table += "|\n";
        }
    }
    table
}
