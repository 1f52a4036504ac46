"""Drawing of garments, and photos of them, for the built-in sample.

A garment is a list of `shapes` on a canvas 2 units wide and 8/3 high, with (0, 0) at the centre and y pointing down.
`tops`, `outerwear`, `bottoms` and `accessories` have one function for each type of garment, `categories` the fifty
categories of DeepFashion, `cloth` makes the textures, `painting` paints the shapes, and `scene` puts the result into a
photo. Random values come from a `random.Random` that the caller seeds; pixels are computed with Pillow, sums and
products only, so that all machines draw the same.
"""
