"""Which sensor where: the article's table of this host (`table`), proposals for what is free in it (`propose`), and who
would have tripped them (`replay`). Only `ground` asks the kernel; the rest are functions of values."""
