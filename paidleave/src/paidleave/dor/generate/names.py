"""Word lists for generated names and addresses. All people and companies are fictitious."""

from __future__ import annotations


def _split_words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _split_words("""
    Aaron Ada Alice Amir Ana Andre Anna Arjun Beatriz Ben Carla Carlos Chen Chloe Clara Daniel Deborah Diego
    Dmitri Elena Elijah Emma Esther Ethan Fatima Felix Femi Fiona Gabriel Grace Hana Hassan Helen Hiro Ingrid
    Isaac Isabel Ivan Jamal James Jin Joao Jonas Joy Julia Kai Karen Kofi Laila Lars Leo Lin Lucia Luis Mae
    Marco Maria Mary_Ann Mateo Maya Mei Mia Mohamed Nadia Noah Nora Olga Omar Owen Paula Pedro Priya Quinn
    Rachel Rafael Ravi Rosa Ruth Sam Sara Sean Sofia Tariq Thandi Theo Tomas Uma Vera Victor Wei Wendy Yara
    Yusuf Zoe
""")
LAST_NAMES = _split_words("""
    Abbott Adeyemi Ahmed Alvarez Andersen Baker Banerjee Barros Bell Brown Burke Cabral Carter Chan Chowdhury
    Clark Cohen Costa Cruz Da_Silva Davies De_La_Cruz Diaz Dubois Duffy Eriksen Evans Farah Fernandes Fischer
    Flores Foster Garcia Gomez Gonzalez Green Gupta Hall Hansen Harris Hernandez Hoang Hughes Ibrahim Ito
    Jackson Jansen Jones Kaplan Kelly Khan Kim King Kowalski Kumar Larsen Le Lee Lewis Li Lopez Mahoney Martin
    Martinez Mbeki Medeiros Meyer Miller Moore Morales Murphy Nakamura Nelson Nguyen Novak O'Brien O'Neil Okafor
    Oliveira Owens Park Patel Pereira Perez Petrov Pham Phillips Quinn Ramirez Reid Reyes Rivera Roberts
    Rodriguez Rossi Russo Ryan Santos Sato Schmidt Scott Shah Silva Singh Smith Smith-Jones Soto Souza St_Pierre
    Sullivan Suzuki Taylor Thomas Torres Tran Turner Walker Wang Weber White Williams Wong Wright Wu Yang Young
    Zhang
""")
NON_ASCII_LAST_NAMES = ("Núñez", "Müller", "Gonçalves", "Søndergaard", "Łukasiewicz", "O’Connor", "Đặng", "王")

COMPANY_FIRST = _split_words("""
    Acorn Amber Anchor Atlas Bay Beacon Berkshire Birch Blue Bridge Cape Cedar Charles Clear Colonial
    Commonwealth Copper Coral Cranberry Crown Delta Eagle Eastern Elm Evergreen Falcon First Forest Granite
    Green Harbor Hilltop Island Keystone Lakeside Liberty Lighthouse Maple Meadow Merrimack Mill Minuteman
    Mystic Noble North Oak Old Orchard Patriot Pilgrim Pine Pioneer Quarry River Rock Sandy Silver South Spruce
    Stone Summit Valley West Willow
""")
COMPANY_SECOND = _split_words("""
    Advisors Analytics Bakery Books Brewing Builders Cafe Care Catering Cleaning Coffee Consulting Dairy Dental
    Design Electric Energy Engineering Farms Financial Fisheries Fitness Flooring Foods Freight Furniture
    Gardens Grill Health Heating Home Hotel Insurance Labs Landscaping Laundry Legal Logistics Machining Marine
    Markets Media Motors Music Optical Painting Paper Pharmacy Photo Plastics Plumbing Printing Realty Repair
    Roofing School Security Software Studios Supply Textiles Tours Transport Travel
""")
COMPANY_FORM = ("Inc", "LLC", "Corp", "Co", "LP", "Group", "Partners", "Associates")

STREETS = ("Main St", "Washington St", "Elm St", "Broadway", "Beacon St", "River Rd", "Park Ave", "Mill Ln", "Pond St")
PLACES = (  # city, state, five digits of the postal code
    ("Boston", "MA", "02108"),
    ("Worcester", "MA", "01608"),
    ("Springfield", "MA", "01103"),
    ("Cambridge", "MA", "02139"),
    ("Lowell", "MA", "01852"),
    ("Brockton", "MA", "02301"),
    ("New Bedford", "MA", "02740"),
    ("Quincy", "MA", "02169"),
    ("Lynn", "MA", "01901"),
    ("Fall River", "MA", "02720"),
    ("Pittsfield", "MA", "01201"),
    ("Manchester-by-the-Sea", "MA", "01944"),
    ("Providence", "RI", "02903"),
    ("Nashua", "NH", "03060"),
    ("Hartford", "CT", "06103"),
    ("New York", "NY", "10001"),
)
FOREIGN_PLACES = (("Toronto", "CAN"), ("London", "GBR"), ("Dublin", "IRL"), ("Lisboa", "PRT"), ("Tokyo", "JPN"))
