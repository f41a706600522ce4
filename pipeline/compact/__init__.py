"""The compact checkpoint: a network's tensors in few bytes, read and written with numpy alone.

``models`` learns how probable a symbol is, ``coding`` walks through a tensor, ``file`` lays the results out on disk.
"""
