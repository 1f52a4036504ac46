"""Drawing garments, and photos of them, for the built-in sample.

A garment is a list of `shapes` on a canvas whose middle is (0, 0), 2 wide and 8/3 high, y pointing down. `garments` has
one function for each type, `cloth` makes what they are sewn of, `painting` paints the shapes, and `scene` photographs
the result. All that is random comes from a `random.Random` that the caller seeds; pixels are computed with Pillow and
with sums and products only, so that every machine draws the same.
"""
